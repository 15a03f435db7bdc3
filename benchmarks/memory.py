"""Peak memory of the stage `faces` and of its worker, on videos that are long, or large.

    python benchmarks/memory.py [--minutes 10] [--cases long every smooth sparse 4k 4k-smooth]

    long       1080p, so many minutes, stride 10; every face is kept
    every      1080p, 10 s, stride 1
    smooth     1080p, 10 s, stride 1, boxes smoothed over 40 frames to each side
    sparse     1080p, 20 s, stride 100
    4k         2160p, 10 s, stride 10
    4k-smooth  2160p, 10 s, stride 10, smoothed

The videos are drawn here: one drawn face, enlarged, and the view panned over it. They run through the stage as DVC
starts it, with one worker. Goal: at most 300 MB a worker. For Linux: peaks are VmHWM of /proc.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

import processes
import videos
from dualface import ledger
from dualface.demo import clip_frames
from videos import line, verdict

GOAL_MEGABYTES = 300.0
RATE, LOOP = 30, 300  # frames a second, frames until the view is where it was
HD, UHD = (1920, 1080), (3840, 2160)


class Case(NamedTuple):
    """A video to make, and the settings that it is extracted with."""

    side: tuple[int, int]
    frames: int
    changes: dict[str, Any]


def cases(*, minutes: float) -> dict[str, Case]:
    """Name the cases."""
    return {
        "long": Case(HD, round(minutes * 60 * RATE), {"stride": 10}),
        "every": Case(HD, 10 * RATE, {"stride": 1}),
        "smooth": Case(HD, 10 * RATE, {"stride": 1, "smooth": 40}),
        "sparse": Case(HD, 20 * RATE, {"stride": 100}),
        "4k": Case(UHD, 10 * RATE, {"stride": 10}),
        "4k-smooth": Case(UHD, 10 * RATE, {"stride": 10, "smooth": 40}),
    }


def make(path: Path, *, side: tuple[int, int], frames: int) -> Path:
    """Encode one round of the view, and write its packets again and again."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "28"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height = side
        stream.pix_fmt, stream.gop_size = "yuv420p", LOOP
        packets = [packet for view in _views(*side) for packet in stream.encode(view)]
        packets += stream.encode(None)
        step = round(1 / (RATE * Fraction(packets[0].time_base)))
        for number in range(frames):
            packet = av.Packet(bytes(packets[number % LOOP]))
            packet.stream, packet.time_base = stream, packets[0].time_base
            packet.pts = packet.dts = number * step  # without B frames, which ultrafast has none of
            packet.is_keyframe = number % LOOP == 0
            container.mux(packet)
    return path


def _views(width: int, height: int) -> Iterator[av.VideoFrame]:
    plan = replace(videos.PLAN, width=640, height=360)
    ((picture,), *_) = clip_frames(plan, 0, 0, [])
    spare = (width // 8, height // 8)
    scene: np.ndarray = cv2.resize(picture, (width + spare[0], height + spare[1]), interpolation=cv2.INTER_CUBIC)
    for turn in np.linspace(0, 2 * np.pi, LOOP, endpoint=False):
        left, top = int(spare[0] * (1 + np.sin(turn)) / 2), int(spare[1] * (1 + np.cos(turn)) / 2)
        view = scene[top : top + height, left : left + width].copy()
        yield av.VideoFrame.from_ndarray(view, format="rgb24")


def watched(stage: "subprocess.Popen[str]") -> tuple[float, float, float]:
    """Wait for the stage; returns the peaks in MB of its worker, of itself while that worked, and of itself."""
    worker = meanwhile = itself = 0.0
    while stage.poll() is None:
        itself = max(itself, processes.peak_megabytes(stage.pid))
        if running := processes.children(stage.pid):
            worker = max(worker, *map(processes.peak_megabytes, running))
            meanwhile = itself
        time.sleep(0.02)
    return worker, meanwhile, itself


def measure(name: str, case: Case, folder: Path) -> float:
    """Print the peaks of a case; returns the worker's."""
    began = time.perf_counter()
    path = make(folder / f"{name}.mp4", side=case.side, frames=case.frames)
    made, began = time.perf_counter() - began, time.perf_counter()
    unlimited = {"max_frames": 100_000, "min_faces": 1, "limit_seconds": 10**6}
    processes.lay_out(folder, [videos.row(path, root=folder)], **{**unlimited, **case.changes})
    with processes.start(folder, name, data=folder, workers=1) as stage:
        worker, meanwhile, itself = watched(stage)
        _, said = stage.communicate()
    if stage.returncode:
        raise SystemExit(f"{name}: {said}")
    (row,) = ledger.read(folder / name / "ledger")
    took = f"{made:.0f} + {time.perf_counter() - began:.0f}"
    peaks = (f"{peak:.0f}" for peak in (worker, meanwhile, itself))
    print(line(name, "{}x{}".format(*case.side), row.frames, row.faces, *peaks, took), flush=True)
    return worker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--cases", nargs="+", choices=cases(minutes=1), default=list(cases(minutes=1)))
    args = parser.parse_args()
    print(line("case", "px", "frames", "faces", "worker MB", "stage MB meanwhile", "stage MB in all", "s", rule=True))
    with tempfile.TemporaryDirectory() as folder:
        known = cases(minutes=args.minutes)
        peaks = {name: measure(name, known[name], Path(folder)) for name in args.cases}
    for name, peak in peaks.items():
        print(f"{name}: {peak:.0f} MB; {verdict(peak, GOAL_MEGABYTES, at_least=False)}")


if __name__ == "__main__":
    main()
