"""Where faces are in frames: dlib's frontal HOG detector and its CNN (MMOD)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import dlib
import numpy as np

from dualface.errors import CheckpointError
from dualface.frame import Frame

MOST_FACES = 4  # of one frame that are looked at, the largest: a crowd must not cost memory
CNN_BATCH = 16
CNN_PIXELS = 2**23  # of a batch, upsampled, on a GPU: 16 frames of 944 x 500, 4 of 1920 x 1080
# dlib loads what a file claims to be: of 1,000 files with a few bytes changed one crashed the process, some asked for
# more memory than there is, and most loaded and found nothing. So nothing but the published network is handed to it.
CNN_SHA256 = "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6"
CNN_BYTES = 729_940


class Detector(Protocol):
    """Finds faces in frames."""

    @property
    def batch(self) -> int:
        """Return how many frames it likes to get at once; it takes fewer, too."""

    def __call__(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """Return the boxes of each frame, `(K, 4)` int32: left, top, right, bottom (exclusive), px.

        Boxes are as dlib gives them: they can reach over the edge of the picture.
        """


@dataclass(frozen=True)
class Hog:
    """The paper's detector (Sec. 4.2.1): frontal faces from about 80 px of what it looks at, on grey.

    Attributes:
        model: dlib's detector.
        upsample: doublings of the picture before detection.
        pixels: of a frame that are looked at; a larger one is halved until it has no more.
        batch: frames at once.
    """

    model: Callable[[np.ndarray, int], Any]
    upsample: int
    pixels: int
    batch: int = 1

    def __call__(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """Return the boxes of each frame."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> np.ndarray:
        times = halvings(frame, self.pixels)
        return scaled(_boxes(self.model(frame.reduced(halvings=times, colour=False), self.upsample)), times)


@dataclass(frozen=True)
class Cnn:
    """dlib's CNN detector (MMOD), on RGB. It is for GPUs: on a CPU a frame of 944 x 500 takes 10 s.

    Attributes:
        model: dlib's detector.
        upsample: doublings of the picture before detection.
        pixels: of a frame that are looked at; a larger one is halved until it has no more.
        batch: frames at once.
    """

    model: Any
    upsample: int
    pixels: int
    batch: int

    def __call__(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """Return the boxes of each frame. Frames of one shape go to the device together, as far as they fit."""
        found: list[np.ndarray] = []
        while len(found) < len(frames):
            times = halvings(frames[len(found)], self.pixels)
            pictures = self._next(frames[len(found) :], times)
            for one in self.model(pictures, self.upsample, len(pictures)):
                found.append(scaled(_boxes([face.rect for face in one]), times))
        return found

    def _next(self, frames: Sequence[Frame], times: int) -> list[np.ndarray]:
        first = frames[0].reduced(halvings=times, colour=True)
        most = max(1, min(self.batch, CNN_PIXELS // (first.shape[0] * first.shape[1] * 4**self.upsample)))
        alike = takewhile(lambda frame: frame.shape == frames[0].shape, frames[1:most])
        return [first, *(frame.reduced(halvings=times, colour=True) for frame in alike)]


@lru_cache  # dlib takes half a second to unpack it, and a worker asks for it once per video
def hog(*, upsample: int, pixels: int) -> Detector:
    """Make the frontal HOG detector, once in a process.

    Args:
        upsample: doublings of the picture before detection; each halves the smallest face and costs 4x the time.
        pixels: of a frame that are looked at; a larger one is halved until it has no more.
    """
    return Hog(dlib.get_frontal_face_detector(), upsample, pixels)


def scaled(boxes: np.ndarray, times: int) -> np.ndarray:
    """Bring boxes, `(K, 4)` int32, that were found in a frame of halved sides back to the frame's own pixels."""
    return boxes * np.int32(2**times)


def halvings(frame: Frame, pixels: int) -> int:
    """Return how often a frame's sides are halved until it has at most so many pixels."""
    height, width = frame.shape
    times = 0
    while (height >> times) * (width >> times) > pixels:
        times += 1
    return times


@lru_cache
def cnn(weights: Path, *, upsample: int, pixels: int) -> Detector:
    """Load the CNN detector, once in a process. Its batches are larger than 1 where dlib has a GPU.

    Args:
        weights: mmod_human_face_detector.dat, as published on dlib.net and unpacked.
        upsample: doublings of the picture before detection; each halves the smallest face and costs 4x the time.
        pixels: of a frame that are looked at; a larger one is halved until it has no more.

    Raises:
        CheckpointError: the file is missing, is not that network, or dlib can't load it.
    """
    check_weights(weights)
    try:
        model = dlib.cnn_face_detection_model_v1(str(weights))
        on_gpu = dlib.DLIB_USE_CUDA and dlib.cuda.get_num_devices() > 0
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{weights}: dlib can't load it: {reason}") from error
    return Cnn(model, upsample, pixels, batch=CNN_BATCH if on_gpu else 1)


def check_weights(weights: Path) -> None:
    """Raise CheckpointError unless the file is dlib's published network."""
    if not weights.is_file():
        raise CheckpointError(f"{weights}: no such file; dlib.net/files has it as mmod_human_face_detector.dat.bz2")
    with weights.open("rb") as file:
        content = file.read(CNN_BYTES + 1)
    if hashlib.sha256(content).hexdigest() != CNN_SHA256:
        raise CheckpointError(
            f"{weights}: not dlib's mmod_human_face_detector.dat (SHA-256 {CNN_SHA256[:12]}...); is the download "
            "whole, and unpacked with bunzip2?"
        )


def _boxes(rectangles: Sequence[Any]) -> np.ndarray:
    found = [(one.left(), one.top(), one.right() + 1, one.bottom() + 1) for one in rectangles]
    return np.array(found, dtype=np.int32).reshape(-1, 4)


def area(box: np.ndarray) -> int:
    """Return the area of a box in square pixels."""
    return int(box[2] - box[0]) * int(box[3] - box[1])


def largest(boxes: np.ndarray) -> list[np.ndarray]:
    """Return the MOST_FACES largest boxes, the largest first; equals are ordered by their place."""
    return sorted(boxes, key=lambda box: (-area(box), *box.tolist()))[:MOST_FACES]


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersection over the union of boxes, `(..., 4)` each, as `(...)` float64."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    meet = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.maximum(meet, 0).prod(axis=-1)
    areas = (one[..., 2:] - one[..., :2]).prod(axis=-1) + (other[..., 2:] - other[..., :2]).prod(axis=-1)
    return np.asarray(common / (areas - common))
