"""Windows: the faces of a video that are judged together, and how training draws them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dualface import label as labels
from dualface.selfblend import self_blended
from dualface.shards.sample import FaceTrack

ORDER, WINDOWS, BATCHES, VIDEOS, REVERSED, BLENDS = range(6)  # random streams of a seed; BATCHES, VIDEOS: of `stream`


@dataclass(frozen=True)
class Sampling:
    """How training videos become batches of windows.

    Attributes:
        frames: faces in a window.
        stride: distance of neighbouring faces in a window.
        flip: whether half the windows are mirrored.
        batch_size: most windows in a batch, over all processes.
        fewest: fakes in each batch, over all processes; from 1 on each also holds a real video. 0 = as they come.
        seed: of the order, the windows and the flips.
        visits: windows that an epoch takes of each video, from 1.
        self_blend: share of the real videos' windows that become fakes by `dualface.selfblend`, in [0, 1]; where
            batches need both classes, each keeps a real one (`to_keep`).
        mirrored: whether each batch is followed by as many windows of the reversed sampler (BBN).
    """

    frames: int
    stride: int
    flip: bool
    batch_size: int
    fewest: int
    seed: int
    visits: int = 1
    self_blend: float = 0.0
    mirrored: bool = False


Window = tuple[str, np.ndarray, np.ndarray]
"""A window of a video: its key, faces `(n, S, S, 3)` uint8, and labels `(n,)` uint8."""

Visit = tuple[int, int]
"""A window of an epoch: its video's number, and how many of that video were drawn before."""


def windows(count: int, *, frames: int, stride: int, overlap: float) -> list[list[np.ndarray]]:
    """Cut a video of `count` faces into windows, so that each face is in at least one.

    A window holds up to `frames` faces, every `stride`-th; `stride` windows with different first faces cover a
    block of `frames * stride` faces. A longer video takes several blocks, the last one moved back so that it is
    full. A shorter video takes the smallest stride that covers it.
    Blocks may overlap: the GRU starts each window without memory, so a frame early in one window is judged with
    nothing before it, and the same frame late in another with all that came before.
    Differs from the paper: it takes the first 300 faces and no others. That is the one window of 300 frames at
    stride 1 where `faces.max_frames` is 300.

    Args:
        count: faces in the video, from 1.
        frames: faces in a window.
        stride: distance of neighbouring faces in a window.
        overlap: share of a block that the next one holds too, in [0, 0.9]; 0 = none but the last's.

    Returns:
        Blocks in the order of the video; each a list of windows: `(n,)` int64, ascending face numbers.
    """
    step = min(stride, math.ceil(count / frames))
    length = frames * step
    hop = max(1, round(length * (1 - overlap)))
    starts = [*range(0, max(count - length, 0), hop), max(count - length, 0)]
    return [[np.arange(start + phase, min(start + length, count), step) for phase in range(step)] for start in starts]


def draw(track: FaceTrack, sampling: Sampling, *, label: int, epoch: int, visit: Visit, plain: bool = False) -> Window:
    """Draw a window from all of the video's; each visit of an epoch takes another, as long as there are some.

    The randomness comes from seed, epoch and the video's number alone: the windows are the same for any number of
    processes, and whatever the order in which the videos are read.
    A fake's window holds a fake frame wherever one of its windows does: in a partial fake the others would
    teach that the video is real, and leave a batch without its pairs.

    Args:
        track: the video's faces.
        sampling: how windows are made.
        label: the video's, 1 = FAKE.
        epoch: from 1.
        visit: the video's number among the training videos, and how many windows of it were drawn before.
        plain: whether it must stay as it is (`to_keep`).
    """
    number, before = visit
    rng = np.random.default_rng([sampling.seed, WINDOWS, epoch, number])
    blocks = windows(len(track.index), frames=sampling.frames, stride=sampling.stride, overlap=0)
    every = [window for block in blocks for window in block]
    if label == labels.FAKE:
        every = [window for window in every if track.labels[window].any()] or every
    chosen = every[(int(rng.integers(len(every))) + before) % len(every)]
    faces = track.faces[chosen]
    if sampling.flip and rng.random(before + 1)[before] < 0.5:
        faces = faces[:, :, ::-1]
    if sampling.self_blend and label == labels.REAL and not plain:
        blend = _blending(sampling, epoch, visit)
        if blend.random() < sampling.self_blend:
            return track.key, self_blended(faces, rng=blend), np.full(len(chosen), labels.FAKE, dtype=np.uint8)
    return track.key, faces, track.labels[chosen]


def to_keep(reals: Iterable[Visit], sampling: Sampling, *, epoch: int) -> Visit | None:
    """Name the real window of a batch that must stay real: where all would be blended, fakes had none to exceed.

    Args:
        reals: the real windows that a process gives to the batch.
        sampling: how windows are made.
        epoch: from 1.

    Returns:
        The first one; None where some stay as they are, and where batches need not hold both classes.
    """
    if not sampling.self_blend or not sampling.fewest:
        return None
    first = None
    for real in reals:
        if _blending(sampling, epoch, real).random() >= sampling.self_blend:
            return None
        first = first or real
    return first


def _blending(sampling: Sampling, epoch: int, real: Visit) -> np.random.Generator:
    """Return the randomness of a real window's blending; its first number says whether it is blended."""
    return np.random.default_rng([sampling.seed, BLENDS, epoch, *real])
