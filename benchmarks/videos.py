"""What the benchmarks of extraction share: settings, rows for videos, small clips with a face, times and tables."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.stream import VideoStream

from dualface import params, video
from dualface.datasets import disk, folder
from dualface.demo import DemoPlan, clip_frames
from dualface.label import REAL
from dualface.manifest import Video
from dualface.params import FacesParams

ROOT = Path(__file__).resolve().parents[1]
PLAN = DemoPlan(
    seed=5, identities=4, test_identities=2, videos_per_identity=1, fakes_per_video=1, youtube_real=0,
    frames=24, width=320, height=240, crf=23, strength=(0.35, 1.0), partial_share=0.5,
)  # fmt: skip
FRAMES = 300
LIMITS = video.Limits(pixels=16 * 10**6, frames=100_000)
CODECS = {".mp4": "libx264", ".mkv": "mpeg4", ".webm": "libvpx-vp9"}
OPTIONS = {"libx264": {"preset": "veryfast"}, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}, "mpeg4": {}}


def settings(**changes: Any) -> FacesParams:
    """Take the section `faces` of params.yaml, with changes."""
    return FacesParams(**{**params.load(ROOT / "params.yaml").faces.model_dump(), **changes})


def row(path: Path, *, root: Path) -> Video:
    """Make the row of a video, as a folder data set would; its label matters to nothing here."""
    place = path.relative_to(root).as_posix()
    key = folder.key_of(place)
    return Video(key, "folder", place, path.stat().st_size, REAL, (key,))


def under(root: Path) -> list[Video]:
    """Make the rows of all videos under a folder."""
    return [row(root / place, root=root) for place in disk.video_files(root)]


def pictures(*, person: int, count: int) -> Iterator[np.ndarray]:
    """Draw a talking head of the demo set, `(240, 320, 3)` uint8 RGB a frame."""
    return (images[0] for images in islice(clip_frames(PLAN, person, 0, []), count))


def write(path: Path, frames: Iterator[np.ndarray], *, key_every: int = 8) -> Path:
    """Encode frames, `(H, W, 3)` uint8 RGB, at 25 a second; the name's ending says in which container and codec."""
    codec = CODECS[path.suffix]
    # The index at the start: a copy without its end has something left to decode.
    layout = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=layout) as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=25, options=OPTIONS[codec]))
        stream.pix_fmt, stream.gop_size, stream.thread_count = "yuv420p", key_every, 1
        for number, rgb in enumerate(frames):
            if not number:
                stream.height, stream.width = rgb.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def cpu_seconds(work: Callable[[], object]) -> float:
    """Do some work; returns the CPU seconds that it took this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def line(*words: object, rule: bool = False) -> str:
    """Make a line of a table in Markdown; a header has a rule below it."""
    text = "| " + " | ".join(str(word) for word in words) + " |"
    return text + ("\n" + "|---" * len(words) + "|" if rule else "")


def verdict(value: float, goal: float, *, at_least: bool) -> str:
    """Say whether a goal is met, and by how much it is not."""
    words = f"goal: at {'least' if at_least else 'most'} {goal:g}"
    if (value >= goal) if at_least else (value <= goal):
        return f"{words}, met"
    return f"{words}, MISSED by {abs(value - goal) / goal:.1%}"
