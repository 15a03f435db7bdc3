"""Find the main person's faces in every video and cut them out; the ledger has a row for each video."""

from dualface import entry, ledger, manifest, params, tables
from dualface import label as labels
from dualface.faces import engine
from dualface.shards.write import write


def main() -> None:
    """Read the manifest; write shards, ledger and counts."""
    args = entry.paths(
        __doc__,
        manifest="rows of all videos",
        shards="folder of shards to write",
        ledger="what came of each video, to write",
        counts="the ledger's counts, to write",
    )
    settings = params.load(args.params).faces
    videos = manifest.read(args.manifest)
    results = engine.results(videos, data_root=entry.data_root(), settings=settings, workers=entry.workers())
    attempts: list[ledger.Attempt] = []
    with tables.replacing(args.shards) as folder:
        folder.mkdir()
        write(folder, engine.kept(results, attempts), shard_bytes=settings.shard_megabytes * 10**6)
    ledger.write(args.ledger, attempts)
    entry.write_json(args.counts, counts(videos, attempts))


def counts(videos: list[manifest.Video], attempts: list[ledger.Attempt]) -> dict[str, object]:
    """Count the outcomes over all videos, and of the real and the fake ones."""
    label = {video.key: video.label for video in videos}
    by_label = {
        name: ledger.counts([attempt for attempt in attempts if label[attempt.key] == value])
        for value, name in labels.NAMES.items()
    }
    return {**ledger.counts(attempts), **by_label}


if __name__ == "__main__":
    entry.run(main)
