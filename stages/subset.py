"""Choose the videos for training, validation and test."""

from dualface import entry, ledger, manifest, params, split, subset


def main() -> None:
    """Read manifest and ledger; write the split and its counts."""
    args = entry.paths(
        __doc__,
        manifest="rows of all videos",
        ledger="what came of each video",
        split="out: CSV, which video is used for what",
        counts="out: JSON, how many of what",
    )
    settings = params.load(args.params)
    choices, counts = subset.choose(manifest.read(args.manifest), ledger.read(args.ledger), settings=settings.subset)
    split.write(args.split, choices)
    entry.write_json(args.counts, counts)


if __name__ == "__main__":
    entry.run(main)
