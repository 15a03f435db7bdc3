"""Windows of faces, and batches of whole videos that hold both classes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dualface import label as labels
from dualface.shards.read import Shards

ORDER, WINDOWS = 0, 1  # which of a seed's random streams


def windows(count: int, *, frames: int, stride: int) -> list[list[np.ndarray]]:
    """Cut a video of `count` faces into windows, so that each face is in at least one.

    A window holds up to `frames` faces, every `stride`-th; `stride` windows with different first faces cover a
    block of `frames * stride` faces. A longer video takes several blocks, the last one moved back so that it is
    full. A shorter video takes the smallest stride that covers it.
    Differs from the paper: it takes the first 300 faces and no others. That is the one window of 300 frames at
    stride 1 where `faces.max_frames` is 300.

    Args:
        count: faces in the video, from 1.
        frames: faces in a window.
        stride: distance of neighbouring faces in a window.

    Returns:
        Blocks in the order of the video; each a list of windows: `(n,)` int64, ascending face numbers.
    """
    step = min(stride, math.ceil(count / frames))
    length = frames * step
    starts = [*range(0, max(count - length, 0), length), max(count - length, 0)]
    return [[np.arange(start + phase, min(start + length, count), step) for phase in range(step)] for start in starts]


def count_batches(is_fake: np.ndarray, *, batch_size: int, both: bool) -> int:
    """Count the batches of an epoch: as few as hold all videos and, with `both`, the repeats that they need."""
    videos, fakes = len(is_fake), int(np.count_nonzero(is_fake))
    count = math.ceil(videos / batch_size)
    while both and max(fakes, count) + max(videos - fakes, count) > count * batch_size:
        count += 1
    return count


def epoch_batches(is_fake: np.ndarray, *, batch_size: int, both: bool, rng: np.random.Generator) -> list[list[int]]:
    """Divide the videos of an epoch into batches.

    Each video comes once. With `both`, each batch holds at least one video of each class (Sec. 4.4.5): both are
    spread evenly, and a class with fewer videos than there are batches has some of its videos repeated.

    Args:
        is_fake: `(V,)` bool; with `both`, of both classes.
        batch_size: most videos in a batch; sizes differ by one at most. At least 2 with `both`.
        both: whether pairs of a fake and a real video are needed.
        rng: the order's randomness.

    Returns:
        Batches of video numbers below V.
    """
    batches = count_batches(is_fake, batch_size=batch_size, both=both)
    if not both:
        return [part.tolist() for part in np.array_split(rng.permutation(len(is_fake)), batches)]
    dealt: list[list[int]] = [[] for _ in range(batches)]
    place = 0
    for mine in (is_fake, ~is_fake):
        numbers = rng.permutation(np.flatnonzero(mine))
        repeats = [rng.permutation(numbers) for _ in range(math.ceil(batches / len(numbers)) - 1)]
        numbers = np.concatenate([numbers, *repeats])[: max(len(numbers), batches)]
        for number in numbers:
            dealt[place % batches].append(int(number))
            place += 1
    return [[batch[i] for i in rng.permutation(len(batch))] for batch in (dealt[i] for i in rng.permutation(batches))]


@dataclass(frozen=True)
class Batch:
    """Windows of B videos.

    Attributes:
        keys: their keys.
        faces: `(F, S, S, 3)` uint8, all faces, one video after the other.
        lengths: `(B,)` int64, faces of each video.
        frame_label: `(F,)` uint8, 1 = FAKE.
        video_label: `(B,)` uint8, 1 where any frame of the window is FAKE.
    """

    keys: list[str]
    faces: Tensor
    lengths: Tensor
    frame_label: Tensor
    video_label: Tensor


@dataclass(frozen=True)
class TrainingWindows(Dataset[tuple[str, np.ndarray, np.ndarray]]):
    """Random windows of videos, for `torch.utils.data.DataLoader`.

    An item is asked for by (epoch, video number), and its randomness comes from these and the seed alone: the
    same windows for any number of loading processes.

    Attributes:
        shards: where the faces lie.
        keys: the videos, by number.
        video_labels: their labels, 1 = FAKE.
        frames: faces in a window.
        stride: distance of neighbouring faces in a window.
        flip: whether half the windows are mirrored.
        seed: of the windows and flips.
    """

    shards: Shards
    keys: list[str]
    video_labels: list[int]
    frames: int
    stride: int
    flip: bool
    seed: int

    def __getitem__(self, item: tuple[int, int]) -> tuple[str, np.ndarray, np.ndarray]:
        """Return key, faces `(n, S, S, 3)` uint8 and labels `(n,)` uint8 of one window, drawn from all of the video's.

        A fake's window holds a fake frame wherever one of its windows does: in a partial fake the others would
        teach that the video is real, and leave a batch without its pairs.
        """
        epoch, number = item
        rng = np.random.default_rng([self.seed, WINDOWS, epoch, number])
        track = self.shards.read(self.keys[number])
        blocks = windows(len(track.index), frames=self.frames, stride=self.stride)
        every = [window for block in blocks for window in block]
        if self.video_labels[number] == labels.FAKE:
            every = [window for window in every if track.labels[window].any()] or every
        chosen = every[int(rng.integers(len(every)))]
        faces = track.faces[chosen]
        if self.flip and rng.random() < 0.5:
            faces = faces[:, :, ::-1]
        return track.key, faces, track.labels[chosen]


class EpochSampler:
    """Gives each epoch's batches to a DataLoader; `epoch` is set before each."""

    def __init__(self, video_labels: list[int], *, batch_size: int, both: bool, seed: int) -> None:
        self._is_fake = np.array(video_labels) == labels.FAKE
        self._batch_size, self._both, self._seed = batch_size, both, seed
        self.epoch = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield lists of (epoch, video number)."""
        rng = np.random.default_rng([self._seed, ORDER, self.epoch])
        for numbers in epoch_batches(self._is_fake, batch_size=self._batch_size, both=self._both, rng=rng):
            yield [(self.epoch, number) for number in numbers]

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return count_batches(self._is_fake, batch_size=self._batch_size, both=self._both)


def collate(items: list[tuple[str, np.ndarray, np.ndarray]]) -> Batch:
    """Put windows together; nothing is padded."""
    keys, faces, frame_labels = zip(*items, strict=True)
    return Batch(
        keys=list(keys),
        faces=torch.from_numpy(np.concatenate(faces)),
        lengths=torch.tensor([len(one) for one in faces]),
        frame_label=torch.from_numpy(np.concatenate(frame_labels)),
        video_label=torch.tensor([int(one.max()) for one in frame_labels], dtype=torch.uint8),
    )


def valid(lengths: Tensor, *, frames: int) -> Tensor:
    """Return the `(B, frames)` bool mask that is True where a frame is not padding."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
