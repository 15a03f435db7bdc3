"""The stage `faces`, killed at random times until it is through: what each kill costs, and whether a byte differs.

    python benchmarks/kills.py [--kills 16] [--identities 20] [--frames 24] [--workers 2] [--seed 0]

Draws a demo set of 3 videos per identity, extracts it once undisturbed, then once with kills (SIGKILL) spread over the
whole run: some 60 % while videos are in work, the rest from then on, most of them while shards are written. Most hit
the stage, every fourth of the first a worker, and one the stage and all its workers at once. For Linux.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import processes
from dualface import scan
from dualface.demo import DemoPlan, render

PRODUCTS = ("shards", "ledger", "counts")


class Kill(NamedTuple):
    """Who is killed, and when: so many seconds after so many videos are done, and where said, after the first shard."""

    whom: str
    done: int
    seconds: float
    writing: bool = False


class Cost(NamedTuple):
    """What a kill found: videos done, videos in work (they are begun anew), and bytes of shards written."""

    kill: Kill
    done: int
    in_work: int
    written: int


@dataclass(frozen=True)
class House:
    """Where it all lies.

    Attributes:
        folder: of everything; a run's products and work are in a folder of its own inside.
        key: of each video, by its file.
        workers: processes of a run.
    """

    folder: Path
    key: dict[Path, str]
    workers: int

    def start(self, name: str) -> "subprocess.Popen[str]":
        """Start a run."""
        return processes.start(self.folder, name, data=self.folder / "data", workers=self.workers)

    def done(self, name: str) -> int:
        """Count the videos that are done."""
        return len(list((self.folder / name / "work").glob("faces-*/*.piece")))

    def written(self, name: str, *, since: float) -> int:
        """Count the bytes of unfinished shards that were written since a moment, in seconds of the clock."""
        status = [path.stat() for path in (self.folder / name / "shards.partial").glob("*.tar")]
        return sum(one.st_size for one in status if one.st_mtime >= since)

    def in_work(self, pids: list[int]) -> set[str]:
        """Name the videos whose file or piece is open in one of some processes."""
        files = {path for pid in pids for path in processes.open_under(pid, self.folder)}
        return {path.stem if path.suffix == ".piece" else self.key[path] for path in files if path.suffix}


def plan(house: House, *, kills: int, tail: float, rng: random.Random) -> list[Kill]:
    """Spread kills over the run.

    Args:
        house: the videos.
        kills: number of them.
        tail: seconds of a run that finds all videos done.
        rng: draws the moments.
    """
    early, writing = kills * 5 // 8, kills // 4
    busy = len(house.key) - 2 * house.workers  # so many are done, and the workers still have something to do
    whom = ["worker" if number % 4 == 1 else "stage" for number in range(early)]
    whom[early // 2] = "stage and workers"
    planned = [
        Kill(whom[number], int((number + rng.random()) * busy / early), rng.random() * 0.2) for number in range(early)
    ]
    late = kills - early - writing
    planned += [Kill("stage", len(house.key), (number + rng.random()) * tail / late) for number in range(late)]
    return planned + [Kill("stage", len(house.key), rng.random() * 0.02, writing=True) for _ in range(writing)]


def strike(house: House, kill: Kill, child: "subprocess.Popen[str]", *, rng: random.Random) -> Cost | None:
    """Wait for the moment and kill; None where the run ended before."""
    began = time.time()
    while child.poll() is None and (
        house.done("killed") < kill.done or (kill.writing and not house.written("killed", since=began))
    ):
        time.sleep(0.002)
    time.sleep(kill.seconds)
    workers = processes.children(child.pid)
    while kill.whom == "worker" and not workers and child.poll() is None:
        workers = processes.children(child.pid)
    if child.poll() is not None:
        return None
    hit = [rng.choice(workers)] if kill.whom == "worker" else workers
    found = Cost(kill, house.done("killed"), len(house.in_work(hit)), house.written("killed", since=began))
    for pid in {"worker": hit, "stage": [child.pid], "stage and workers": [child.pid, *workers]}[kill.whom]:
        with contextlib.suppress(ProcessLookupError):  # a worker ends when its work does
            os.kill(pid, signal.SIGKILL)
    return found


def disturbed(house: House, kills: list[Kill], *, rng: random.Random) -> tuple[list[Cost], list[str]]:
    """Run until all kills are done, then to the end; returns their costs, and what went wrong."""
    costs: list[Cost] = []
    wrong: list[str] = []
    waiting = list(kills)
    while True:
        before = house.done("killed")
        child = house.start("killed")
        while waiting and child.poll() is None:
            kill = waiting.pop(0)
            if (cost := strike(house, kill, child, rng=rng)) is None:
                waiting.insert(0, kill._replace(seconds=0.9 * kill.seconds))  # the run was over: a little earlier
                continue
            costs.append(cost)
            if kill.whom != "worker":
                child.wait()
        _, said = child.communicate()
        found = re.search(r"faces: ([0-9,]+) of [0-9,]+ videos were done by an earlier run", said)
        if found and int(found[1].replace(",", "")) != before:
            wrong.append(f"{before} videos were done, and the next run found {found[1]}")
        if child.returncode not in (0, -signal.SIGKILL):
            wrong.append(f"the stage ended with {child.returncode}: {said.strip().splitlines()[-1]}")
        if child.returncode != -signal.SIGKILL and not waiting:
            return costs, wrong


def products(house: House, name: str) -> dict[str, bytes]:
    files = [path for part in PRODUCTS for path in (house.folder / name / part).rglob("*")]
    files += [house.folder / name / part for part in PRODUCTS]
    return {str(path.relative_to(house.folder / name)): path.read_bytes() for path in files if path.is_file()}


def timed(house: House, name: str) -> float:
    """Run undisturbed; returns seconds of wall time."""
    began = time.monotonic()
    with house.start(name) as child:
        _, said = child.communicate()
    if child.returncode:
        raise SystemExit(f"the undisturbed run failed: {said}")
    return time.monotonic() - began


def furnished(folder: Path, *, identities: int, frames: int, workers: int) -> House:
    demo = DemoPlan(
        seed=3, identities=identities, test_identities=identities // 3, videos_per_identity=1, fakes_per_video=1,
        youtube_real=identities, frames=frames, width=320, height=240, crf=23, strength=(0.35, 1.0), partial_share=0.5,
    )  # fmt: skip
    render(folder / "data", demo, workers=workers)
    rows = scan.scan("celebdf", folder / "data").videos
    processes.lay_out(folder, rows, min_faces=2, shard_megabytes=1)
    return House(folder, {(folder / "data" / row.path).resolve(): row.key for row in rows}, workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--identities", type=int, default=20, help="from 6")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as temporary:
        house = furnished(Path(temporary), identities=args.identities, frames=args.frames, workers=args.workers)
        whole, tail = timed(house, "whole"), timed(house, "whole")
        began = time.monotonic()
        costs, wrong = disturbed(house, plan(house, kills=args.kills, tail=tail, rng=rng), rng=rng)
        seconds = time.monotonic() - began
        expected, got = products(house, "whole"), products(house, "killed")
    wrong += [f"{name}: differs" for name in sorted(expected.keys() | got) if expected.get(name) != got.get(name)]
    print("| kill | whom | videos done | bytes of shards | videos begun anew |\n|---|---|---|---|---|")
    for number, cost in enumerate(costs, start=1):
        print(f"| {number} | {cost.kill.whom} | {cost.done} of {len(house.key)} | {cost.written:,} | {cost.in_work} |")
    print(f"undisturbed {whole:.1f} s, with all done {tail:.1f} s; with {len(costs)} kills {seconds:.1f} s")
    same = f"{len(expected)} files of {sum(map(len, expected.values())):,} bytes in all: the same as undisturbed"
    print("\n".join(["WRONG:", *wrong]) if wrong else same)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
