"""Memory and time of an index of many samples, in the process that trains and in one that loads.

    python benchmarks/samples.py [--samples 100000] [--batches 600]

The samples are tiny (2 faces of 16 px), written as any others are. Goals: 200 bytes a sample in the index; 1 GB a
loader process, and no growth (20 MB) between the first quarter of the batches and the last; 60 s to open the index.
For Linux: memory is VmRSS of /proc.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import torch

from dualface.feeds import RandomFeed
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack, encode
from dualface.shards.write import write
from dualface.windows import Sampling
from videos import line, verdict

GOAL_BYTES, GOAL_MEGABYTES, GOAL_GROWTH, GOAL_SECONDS = 200.0, 1000.0, 20.0, 60.0
SAMPLING = Sampling(frames=2, stride=1, flip=True, batch_size=16, fewest=1, seed=0)
FACES, SIDE, SHARD_BYTES = 2, 16, 50 * 10**6
FAKE_EVERY = 31


def samples(count: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Make samples; they differ in their keys only."""
    boxes, index = np.zeros((FACES, 4), dtype=np.int32), np.arange(FACES, dtype=np.int32)
    faces = np.random.default_rng(0).integers(0, 256, (FACES, SIDE, SIDE, 3), dtype=np.uint8)
    members = [
        encode(FaceTrack("", faces, index, boxes, np.full(FACES, label, dtype=np.uint8), {})) for label in (0, 1)
    ]
    for number in range(count):
        yield f"some-data-set-{number:08d}", members[number % FAKE_EVERY == 0]


def megabytes(pid: int | str) -> float:
    """Return the memory that a process holds now."""
    words = Path("/proc", str(pid), "status").read_text(encoding="utf-8").split()
    return int(words[words.index("VmRSS:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--batches", type=int, default=600)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), samples(args.samples), shard_bytes=SHARD_BYTES)
        before, began = megabytes("self"), time.perf_counter()
        shards = Shards(Path(folder))
        seconds, grown = time.perf_counter() - began, megabytes("self") - before
        each = len(pickle.dumps(shards)) / args.samples
        print(f"{args.samples:,} samples: opened in {seconds:.1f} s; {verdict(seconds, GOAL_SECONDS, at_least=False)}")
        print(f"index: {each:.0f} bytes a sample, as sent; {verdict(each, GOAL_BYTES, at_least=False)}")
        print(f"this process: {before:.0f} MB before, {grown:+.0f} MB for the index\n")
        loaded(shards, batches=args.batches)


def loaded(shards: Shards, *, batches: int) -> None:
    """Load batches with one process; print the memory of both at some points, and verdicts."""
    label_of = {key: int(number % FAKE_EVERY == 0) for number, key in enumerate(shards.keys())}
    feed = RandomFeed(shards, label_of, {}, SAMPLING, loaders=1, rank=0, world=1, pin_memory=False)
    print(line("batch", "this process MB", "loader MB", rule=True))
    seen: list[float] = []
    batch = epoch = 0
    while batch < batches:
        epoch += 1
        for _ in feed.epoch(epoch, start=0):
            batch += 1
            if batch in {1, 10} or batch % max(1, batches // 12) == 0:
                seen.append(max(megabytes(child.pid or 0) for child in active_children()))
                print(line(batch, f"{megabytes('self'):.0f}", f"{seen[-1]:.0f}"), flush=True)
            if batch == batches:
                break
    quarter = len(seen) // 4 + 1
    growth = max(seen[-quarter:]) - max(seen[:quarter])
    print(f"\nloader: {max(seen):.0f} MB; {verdict(max(seen), GOAL_MEGABYTES, at_least=False)}")
    print(f"growth: {growth:.1f} MB; {verdict(growth, GOAL_GROWTH, at_least=False)}")


if __name__ == "__main__":
    main()
