"""Find the main person's faces in every video and cut them out; the ledger has a row for each video."""

import sys

from dualface import entry, ledger, manifest, params, tables
from dualface import label as labels
from dualface.faces import engine, work
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
    attempts = engine.engine(entry.engine(), workers=entry.workers())
    with work.opened(entry.work_folder(), videos=videos, settings=settings, data_root=entry.data_root()) as place:
        rows = engine.run(videos, work=place, settings=settings, attempts=attempts)
        with tables.replacing(args.shards) as folder:
            folder.mkdir()
            write(folder, engine.samples(videos, rows, work=place), shard_bytes=settings.shard_megabytes * 10**6)
        ledger.write(args.ledger, list(rows.values()))
        entry.write_json(args.counts, counts(videos, list(rows.values())))
        if any(row.outcome != "ok" for row in rows.values()):
            sys.stderr.write("what came of each video: dualface ledger\n")
        for left_alone in place.finish():
            sys.stderr.write(f"note: {left_alone}; delete it if you do not mean to go on with it\n")


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
