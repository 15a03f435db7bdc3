"""CPU time of face extraction over bare decoding and detection on the same clips, and a worker's peak memory.

    python benchmarks/faces.py [CLIP_OR_FOLDER ...] [--frames 100] [--rounds 5]

Both ways run in turn, so that a noisy machine slows both alike. Goal: a ratio of at most 1.3, and 500 MB.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import dlib

from dualface.faces.detect import hog
from dualface.faces.extract import Extract, extract

GOAL_RATIO, GOAL_MEGABYTES = 1.3, 500
DEMO = Path("data/demo/videos")


def bare(path: Path, *, frames: int) -> None:
    """Decode and detect, and do nothing else."""
    detector = dlib.get_frontal_face_detector()
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0), start=1):
            detector(frame.to_ndarray(format="gray"), 0)
            if number == frames:
                return


def ours(path: Path, *, max_frames: int) -> Extract:
    """Extract as the stage does at the paper's settings."""
    return extract(path, detect=hog(0), input_size=64, crop_scale=1.3, max_frames=max_frames, min_faces=1)


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_megabytes(path: Path, *, max_frames: int) -> float:
    ours(path, max_frames=max_frames)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(path: Path, *, max_frames: int, rounds: int) -> float:
    """Print one clip's figures and return its ratio."""
    frames = ours(path, max_frames=max_frames).frames  # also the warm-up
    pairs = [
        (cpu_seconds(partial(bare, path, frames=frames)), cpu_seconds(partial(ours, path, max_frames=max_frames)))
        for _ in range(rounds)
    ]
    base, full = (statistics.median(column) for column in zip(*pairs, strict=True))
    # A fresh process per clip: ru_maxrss is the peak over a process's whole life.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        peak = pool.submit(peak_megabytes, path, max_frames=300).result()
    ratio = statistics.median(full / base for base, full in pairs)
    print(f"{path.name}: {frames} frames, {1000 * base / frames:.1f} ms a frame bare, "
          f"{1000 * full / frames:.1f} ms ours, ratio {ratio:.2f}, peak {peak:.0f} MB")  # fmt: skip
    return ratio if peak <= GOAL_MEGABYTES else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, default=[DEMO], help="videos, or folders of .mp4 files")
    parser.add_argument("--frames", type=int, default=100, help="faces to find in each clip")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    clips = [clip for path in args.clips for clip in (sorted(path.rglob("*.mp4"))[:3] if path.is_dir() else [path])]
    if not clips:
        sys.exit("error: no clips; name some, or render the demo set first: dvc repro data/demo/dvc.yaml")
    cv2.setNumThreads(1)
    worst = max(measure(clip, max_frames=args.frames, rounds=args.rounds) for clip in clips)
    print(f"worst ratio {worst:.2f}; goal: at most {GOAL_RATIO}, and {GOAL_MEGABYTES} MB (inf: too much memory)")


if __name__ == "__main__":
    main()
