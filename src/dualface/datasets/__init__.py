"""Data sets: each module turns one layout on disk into rows of the manifest."""
