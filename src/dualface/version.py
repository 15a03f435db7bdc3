"""The version, apart from the package's `__init__`, which every stage imports: a release re-runs no stage."""

VERSION = "0.1.0"
