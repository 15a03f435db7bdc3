"""Broken copies of small videos through the local engine: each must come back as a row, in time, and stop nothing.

    python benchmarks/fuzz.py [CLIP ...] [--copies 510] [--seed 0] [--workers 2] [--keep FOLDER]

Without clips it draws three (H.264 in MP4, MPEG-4 in Matroska, VP9 in WebM). A copy has bits flipped, lacks its end,
or has pieces exchanged, removed or zeroed. The same seed makes the same copies. Those whose process died are kept.
"""

import argparse
import contextlib
import csv
import io
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import videos
from breaking import KINDS, broken
from dualface.faces import engine, local, supervisor, work
from dualface.ledger import OUTCOMES, WITH_FACES, Attempt
from dualface.manifest import Video
from dualface.shards import sample

LIMIT_SECONDS = 20.0
SLACK_SECONDS = 10.0  # to start a process anew, on a busy machine


class Copy(NamedTuple):
    """A broken copy: of which clip, how it was broken, where it lies."""

    clip: str
    kind: str
    path: Path


class Found(NamedTuple):
    """What came of a file: its row, and the seconds that it took."""

    path: Path
    row: Attempt
    seconds: float


def clips(folder: Path) -> list[Path]:
    """Draw the three clips."""
    return [
        videos.write(folder / f"clip{person}{suffix}", videos.pictures(person=person, count=24))
        for person, suffix in enumerate(videos.CODECS)
    ]


def copies(sources: list[Path], folder: Path, *, count: int, seed: int) -> list[Copy]:
    """Write broken copies, in turn of each clip and kind."""
    contents = [path.read_bytes() for path in sources]
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        place, kind = number % len(sources), KINDS[number // len(sources) % len(KINDS)]
        other = contents[int(rng.integers(len(contents)))]
        path = folder / f"{number:05d}-{kind}{sources[place].suffix}"
        path.write_bytes(broken(contents[place], other, kind=kind, rng=rng))
        made.append(Copy(sources[place].name, kind, path))
    return made


def extracted(rows: list[Video], *, root: Path, into: Path, workers: int) -> tuple[list[Found], list[str]]:
    """Run the engine; returns what came of each video, and what is wrong with what it left behind."""
    settings = videos.settings(min_faces=2, limit_seconds=LIMIT_SECONDS)
    attempts = partial(local.attempts, workers=workers)
    with work.opened(into, videos=rows, settings=settings, data_root=root) as place:
        with contextlib.redirect_stderr(io.StringIO()):
            attempted = engine.run(rows, work=place, settings=settings, attempts=attempts)
        with (place.folder / "log.csv").open(newline="", encoding="utf-8") as file:
            log = [(row["key"], float(row["seconds"])) for row in csv.DictReader(file)]
        samples = {key: sample.decode(key, members) for key, members in engine.samples(rows, attempted, work=place)}
    logged = Counter(key for key, _ in log)
    wrong = [f"{video.path}: {logged[video.key]} rows" for video in rows if logged[video.key] != 1]
    for key, row in attempted.items():
        kept = len(samples[key].index) if key in samples else 0
        if kept != row.faces or (row.outcome in WITH_FACES) != (kept >= settings.min_faces):
            wrong.append(f"{key}: {row.outcome}, {row.faces} faces by its row, {kept} in its sample")
    late = supervisor.TRIES * LIMIT_SECONDS + SLACK_SECONDS
    wrong += [f"{key}: took {seconds:.0f} s" for key, seconds in log if seconds > late]
    seconds = dict(log)
    return [Found(root / one.path, attempted[one.key], seconds[one.key]) for one in rows], wrong


def table(made: list[Copy], outcome: dict[Path, str]) -> None:
    names = [name for name in OUTCOMES if name in outcome.values()]
    print("| copies of | broken by | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|")
    groups = {(copy.clip, copy.kind): Counter[str]() for copy in made}
    for copy in made:
        groups[copy.clip, copy.kind][outcome[copy.path]] += 1
    for (clip, kind), count in sorted(groups.items()):
        print(f"| {clip} | {kind} | " + " | ".join(str(count[name] or "") for name in names) + " |")
    in_all = Counter(outcome[copy.path] for copy in made)
    print(f"| all {len(made)} | | " + " | ".join(str(in_all[name]) for name in names) + " |")


def tell(found: list[Found], *, keep: Path) -> None:
    """Print what was slow, and what died or hung, of which the file is kept."""
    slowest = sorted(found, key=lambda one: -one.seconds)[:3]
    print("slowest: " + ", ".join(f"{one.path.name} {one.seconds:.1f} s ({one.row.outcome})" for one in slowest))
    for one in found:
        if one.row.outcome in ("crashed", "timeout"):
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(one.path, keep)
            print(f"{one.row.outcome}: {keep / one.path.name}: {one.row.reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="small videos with a face; without any, three are drawn")
    parser.add_argument("--copies", type=int, default=510)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "dualface-fuzz"), metavar="FOLDER")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, drawn = Path(temporary, "copies"), Path(temporary, "drawn")
        root.mkdir()
        drawn.mkdir()
        sources = args.clips or clips(drawn)
        whole = [Path(shutil.copy(path, root / f"whole-{path.name}")) for path in sources]
        made = copies(sources, root, count=args.copies, seed=args.seed)
        found, wrong = extracted(videos.under(root), root=root, into=Path(temporary, "work"), workers=args.workers)
        outcome = {one.path: one.row.outcome for one in found}
        wrong += [f"{path.name}: {outcome[path]}, though it is whole" for path in whole if outcome[path] != "ok"]
        table(made, outcome)
        tell(found, keep=args.keep)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(f"largest worker: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit:.0f} MB")
    print("\n".join(["WRONG:", *wrong]) if wrong else f"{len(made)} copies: one row each, none late")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
