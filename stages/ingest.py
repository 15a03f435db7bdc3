"""Check the listing against the disk, and turn it into the manifest."""

from pathlib import Path

from dualface import entry, ingest, manifest, params


def main() -> None:
    """Read the listing that params.yaml names; write the manifest and its counts."""
    args = entry.paths(__doc__, manifest="out: rows of all videos", counts="out: JSON, how many of what")
    videos = manifest.read_listing(Path(params.load(args.params).ingest.listing))
    ingest.check(videos, entry.data_root())
    manifest.write(args.manifest, videos)
    entry.write_json(args.counts, ingest.counts(videos))


if __name__ == "__main__":
    entry.run(main)
