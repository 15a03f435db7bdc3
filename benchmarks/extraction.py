"""What face extraction costs, and how well its faster mode agrees with the reference, on clips with a face.

    python benchmarks/extraction.py [--part cost] [--part agreement ...] [--rounds 3] [--smooth 40] CLIP ...

    cost       CPU time of decoding, of extraction at stride 1, 5 and 10, and of the chain of a common tool
    agreement  overlap of boxes at stride 5 and 10 with those at stride 1, as detected and smoothed
    shards     bytes of shards against raw pixels, and reading them against PNG files in a tar and raw arrays
    workers    CPU and wall time of the local engine with 1 and with 2 workers

Ways that are compared run in turn, so that a noisy machine slows all alike; figures are medians of the rounds. CPU
times are of one thread. What it takes in memory: benchmarks/memory.py.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import dlib
import numpy as np

import agreement
import loading
import videos
from dualface import video
from dualface.faces import local
from dualface.faces.attempt import attempt
from videos import FRAMES, LIMITS, cpu_seconds, line, verdict

PARTS = ("cost", "agreement", "shards", "workers")
GOAL_EVERY, GOAL_STRIDE = 5.0, 35.0  # times less CPU than the chain
GOAL_SAME, GOAL_FASTER = 1.1, 1.8  # with two workers: CPU a frame against one's, and wall time
CHAIN_STEP = 10  # the chain costs each frame the same, whatever came before it: a tenth of the frames will do
CHAIN_SIDE = 256  # px of the crop in its second pass


def decode(path: Path, *, frames: int) -> None:
    """Decode and do nothing else."""
    with video.opened(path, limits=LIMITS) as clip:
        for frame in clip:
            if frame.index + 1 >= frames:
                return


def chain_seconds(path: Path, *, frames: int) -> float:
    """Return the CPU seconds that the chain of a common tool would spend on detection in so many frames.

    DeepfakeBench's preprocessing runs dlib's HOG detector twice on each frame that it takes, each time doubled and in
    colour: on the frame, and on the 256 px crop that it cut out, for landmarks. These two passes are counted, and
    nothing else that it does: not decoding, landmarks, aligning or writing PNG files. Its crop is aligned, this one is
    not, which costs a detector the same.
    """
    detector, times = dlib.get_frontal_face_detector(), []
    with video.opened(path, limits=LIMITS) as clip:
        for frame in clip:
            if frame.index >= frames:
                break
            if frame.index % CHAIN_STEP == 0:
                times.append(_two_passes(frame.rgb, detector))
    return statistics.mean(times) * frames


def _two_passes(rgb: np.ndarray, detector: Callable[..., list[dlib.rectangle]]) -> float:
    began = time.process_time()
    found = detector(rgb, 1)
    seconds = time.process_time() - began
    if not found:
        return seconds
    face = max(found, key=lambda one: one.width() * one.height())
    seen = rgb[max(0, face.top()) : face.bottom(), max(0, face.left()) : face.right(), ::-1]
    bgr = cv2.resize(seen, (CHAIN_SIDE, CHAIN_SIDE))
    return seconds + cpu_seconds(partial(detector, bgr, 1))


def attempted(path: Path, *, stride: int) -> int:
    """Do all that a worker does for a video; returns the number of frames decoded."""
    settings = videos.settings(stride=stride, max_frames=FRAMES, min_faces=1)
    with tempfile.TemporaryDirectory() as folder:
        one = videos.row(path, root=path.parent)
        return attempt(one, data_root=path.parent, settings=settings, into=Path(folder, "piece")).frames


def cost(clips: list[Path], *, rounds: int) -> None:
    """Print CPU seconds per 300 frames."""
    print(line("clip", "decode", "every", "stride 5", "stride 10", "chain", "chain / every", "chain / 10", rule=True))
    ratios = []
    for path in clips:
        frames = attempted(path, stride=10)  # also the warm-up
        ways: list[Callable[[], object]] = [partial(decode, path, frames=frames)]
        ways += [partial(attempted, path, stride=stride) for stride in (1, 5, 10)]
        table = [[*map(cpu_seconds, ways), chain_seconds(path, frames=frames)] for _ in range(rounds)]
        middle = [statistics.median(column) * FRAMES / frames for column in zip(*table, strict=True)]
        ratios.append([statistics.median(row[4] / row[place] for row in table) for place in (1, 3)])
        print(line(path.name, *(f"{one:.2f}" for one in middle), *(f"{one:.1f}" for one in ratios[-1])))
    goals = {"every": GOAL_EVERY, "stride 10": GOAL_STRIDE}
    for (name, goal), column in zip(goals.items(), zip(*ratios, strict=True), strict=True):
        found = f"{name}: the chain's CPU time over its own, worst clip {min(column):.2f}"
        print(f"{found}, median {statistics.median(column):.2f}; {verdict(min(column), goal, at_least=True)}")


def engine_seconds(clips: list[Path], *, workers: int) -> tuple[float, float, int]:
    """Run the local engine; returns wall seconds, CPU seconds of its workers (their start included) and frames."""
    root = Path(os.path.commonpath([path.parent for path in clips]))
    rows = [replace(videos.row(path, root=root), key=str(number)) for number, path in enumerate(clips)]
    settings = videos.settings(max_frames=100, min_faces=1)
    with tempfile.TemporaryDirectory() as folder:
        before, began = _childrens_seconds(), time.perf_counter()
        done = local.attempts(
            rows, into=lambda one: Path(folder, one.key), data_root=root, settings=settings, workers=workers
        )
        frames = sum(one.row.frames for one in done)
        return time.perf_counter() - began, _childrens_seconds() - before, frames


def _childrens_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def workers(clips: list[Path], *, rounds: int) -> None:
    """Print what a second worker gives."""
    clips = (clips * 8)[: max(8, len(clips))]
    table = [[engine_seconds(clips, workers=count) for count in (1, 2)] for _ in range(rounds)]
    print(line("workers", "wall s", "CPU s", "frames", "CPU ms a frame", rule=True))
    for count, column in zip((1, 2), zip(*table, strict=True), strict=True):
        wall, cpu, frames = (statistics.median(values) for values in zip(*column, strict=True))
        print(line(count, f"{wall:.1f}", f"{cpu:.1f}", f"{frames:.0f}", f"{1000 * cpu / frames:.1f}"))
    faster = statistics.median(one[0] / two[0] for one, two in table)
    dearer = statistics.median(two[1] / one[1] for one, two in table)
    print(f"wall time with one worker over that with two: {faster:.2f}; {verdict(faster, GOAL_FASTER, at_least=True)}")
    print(f"CPU time with two workers over that with one: {dearer:.2f}; {verdict(dearer, GOAL_SAME, at_least=False)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, help="may be given more than once; all without any")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smooth", type=int, default=40, help="window of the smoothed boxes")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    clips = [path.resolve() for path in args.clips]
    for part in args.part or PARTS:
        print(f"\n{part}\n")
        match part:
            case "cost":
                cost(clips, rounds=args.rounds)
            case "agreement":
                agreement.measure(clips, smooth=args.smooth)
            case "shards":
                loading.measure(clips, rounds=args.rounds)
            case "workers":
                workers(clips, rounds=args.rounds)


if __name__ == "__main__":
    main()
