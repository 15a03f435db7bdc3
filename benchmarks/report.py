"""Time and memory of the figures with their intervals, at the size of Celeb-DF's test set.

    python benchmarks/report.py [--videos 518] [--fakes 340] [--frames 300] [--resamples 2000]

Every score is distinct, which is the slowest case. Goal: under 10 s and 500 MB, on one core.
"""

import argparse
import resource
import sys
import time

import numpy as np

from dualface.metrics.summary import Sample, summarise

GOAL_SECONDS, GOAL_MEGABYTES = 10, 500


def sample(*, videos: int, fakes: int, frames: int) -> Sample:
    """Make frame scores, those of one video alike."""
    rng = np.random.default_rng(0)
    video_label = (np.arange(videos) < fakes).astype(int)
    group = np.repeat(np.arange(videos), frames)
    logit = rng.normal(video_label, 1)[group] + rng.normal(0, 0.5, len(group))
    return Sample(1 / (1 + np.exp(-logit)), video_label[group], group, video_label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=518)
    parser.add_argument("--fakes", type=int, default=340)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=2000)
    args = parser.parse_args()
    scores = sample(videos=args.videos, fakes=args.fakes, frames=args.frames)
    start, cpu = time.perf_counter(), time.process_time()
    summary = summarise(scores, threshold=0.5, resamples=args.resamples, rng=np.random.default_rng(0))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    unit = 2**20 if sys.platform == "darwin" else 2**10
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"{len(scores.score):,} frames of {args.videos} videos, {summary.replicates:,} replicates")
    print(f"{seconds:.1f} s ({cpu_seconds:.1f} s CPU), {megabytes:.0f} MB at the peak")
    if seconds > GOAL_SECONDS or megabytes > GOAL_MEGABYTES:
        sys.exit(f"goal missed: {GOAL_SECONDS} s and {GOAL_MEGABYTES} MB")


if __name__ == "__main__":
    main()
