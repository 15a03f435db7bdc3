"""What comes of each video of a folder: the table of its ledger, in Markdown.

    python benchmarks/outcomes.py FOLDER ... [--workers 2] [--stride 1]

The videos go through the local engine as `dvc repro faces` has it, with the settings of params.yaml.
"""

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path

import videos
from dualface.faces import local
from dualface.faces.supervisor import Done
from dualface.params import FacesParams

HEADER = "| file | outcome | frames | faces | box px | length s | took s | reason |\n|---|---|---|---|---|---|---|---|"


def attempts(root: Path, *, settings: FacesParams, workers: int) -> list[Done]:
    """Extract all videos under a folder; returns what came of them, sorted by path."""
    rows = videos.under(root)
    with tempfile.TemporaryDirectory() as pieces:
        done = local.attempts(
            rows,
            into=lambda video: Path(pieces, f"{video.key}.piece"),
            data_root=root,
            settings=settings,
            workers=workers,
        )
        found = sorted(done, key=lambda one: one.video.path)
    if [one.video.path for one in found] != sorted(video.path for video in rows):
        raise SystemExit(f"{root}: {len(rows)} videos went in, {len(found)} rows came out")
    return found


def line(done: Done) -> str:
    row = done.row
    facts = (row.frames, row.faces, row.box_width, f"{row.seconds:.2f}", f"{done.seconds:.1f}", row.reason)
    return f"| {done.video.path} | {row.outcome} | " + " | ".join(str(fact) for fact in facts) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stride", type=int, default=1)
    args = parser.parse_args()
    for root in args.folders:
        found = attempts(root, settings=videos.settings(stride=args.stride), workers=args.workers)
        print(f"\n{root.name}\n\n{HEADER}")
        for one in found:
            print(line(one))
        counts = Counter(one.row.outcome for one in found)
        print(f"\n{len(found)} videos: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()))


if __name__ == "__main__":
    main()
