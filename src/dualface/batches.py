"""Batches of windows that hold both classes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dualface.errors import ShardError, TrainingError
from dualface.windows import Sampling, Window


def check_classes(is_fake: np.ndarray, *, fewest: int) -> None:
    """Raise TrainingError unless there are videos and, where batches need fakes, some of each class."""
    fakes = int(np.count_nonzero(is_fake))
    if not len(is_fake) or (fewest and not 0 < fakes < len(is_fake)):
        raise TrainingError(
            f"train has {len(is_fake) - fakes} real and {fakes} fake videos: "
            "both classes are needed; look at params.yaml, subset"
        )


def fitted(sampling: Sampling, is_fake: np.ndarray) -> Sampling:
    """Ask for no more fakes in a batch than have their share beside all real videos: `batch_size` may exceed those."""
    room, reals = sampling.batch_size - sampling.fewest, int(np.count_nonzero(~is_fake))
    if not sampling.fewest or reals >= room:
        return sampling
    return replace(sampling, fewest=max(1, math.ceil(sampling.fewest * reals / room)))


def count_batches(is_fake: np.ndarray, *, batch_size: int, fewest: int) -> int:
    """Count the batches of an epoch: as few as hold all videos and the repeats that `fewest` needs."""
    videos, fakes = len(is_fake), int(np.count_nonzero(is_fake))
    count = math.ceil(videos / batch_size)
    while fewest and max(fakes, fewest * count) + max(videos - fakes, count) > count * batch_size:
        count += 1
    return count


def epoch_batches(is_fake: np.ndarray, *, batch_size: int, fewest: int, rng: np.random.Generator) -> list[list[int]]:
    """Divide the videos of an epoch into batches.

    Each video comes once. Where `fewest` is 1, each batch holds at least one video of each class (Sec. 4.4.5): both
    are spread evenly, and a class with fewer videos than there are batches has some of its videos repeated. Where it
    is more, so many fakes are in each batch, by repeating all of them equally often but for one.

    Args:
        is_fake: `(V,)` bool; of both classes, but where `fewest` is 0.
        batch_size: most videos in a batch; sizes differ by one at most. More than `fewest`.
        fewest: fakes in each batch; 0 = as they come.
        rng: the order's randomness.

    Returns:
        Batches of video numbers below V.
    """
    batches = count_batches(is_fake, batch_size=batch_size, fewest=fewest)
    if not fewest:
        return [part.tolist() for part in np.array_split(rng.permutation(len(is_fake)), batches)]
    dealt: list[list[int]] = [[] for _ in range(batches)]
    place = 0
    for mine, least in ((is_fake, fewest * batches), (~is_fake, batches)):
        numbers = rng.permutation(np.flatnonzero(mine))
        draws = max(len(numbers), least)
        repeats = [rng.permutation(numbers) for _ in range(math.ceil(draws / len(numbers)) - 1)]
        for number in np.concatenate([numbers, *repeats])[:draws]:
            dealt[place % batches].append(int(number))
            place += 1
    return [[batch[i] for i in rng.permutation(len(batch))] for batch in (dealt[i] for i in rng.permutation(batches))]


@dataclass(frozen=True)
class Batch:
    """Windows of B videos.

    Attributes:
        keys: their keys.
        faces: `(F, S, S, 3)` uint8, all faces, one video after the other.
        lengths: `(B,)` int64, faces of each video. It stays on the CPU: a shape that the GPU knows and the CPU
            does not would make the CPU wait for it.
        frame_label: `(F,)` uint8, 1 = FAKE.
        video_label: `(B,)` uint8, 1 where any frame of the window is FAKE.
    """

    keys: list[str]
    faces: Tensor
    lengths: Tensor
    frame_label: Tensor
    video_label: Tensor

    def pin_memory(self) -> "Batch":
        """Move what a GPU needs into memory that it can copy from by itself; a DataLoader calls this."""
        return self._moved(Tensor.pin_memory)

    def to(self, device: torch.device) -> "Batch":
        """Start to copy all but `lengths` to a device, without waiting where the memory is pinned."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> "Batch":
        return replace(
            self,
            faces=move(self.faces),
            frame_label=move(self.frame_label),
            video_label=move(self.video_label),
        )


def reversed_draws(is_fake: np.ndarray, count: int, *, rng: np.random.Generator) -> list[int]:
    """Draw as BBN's reversed sampler does: a class is the more likely the rarer it is, then any of its videos.

    Zhou et al. 2020, Sec. 4.3: class c with probability proportional to max(N) / N_c. Of both classes.

    Args:
        is_fake: `(V,)` bool.
        count: of the draws.
        rng: their randomness.
    """
    fakes, reals = np.flatnonzero(is_fake), np.flatnonzero(~is_fake)
    from_fakes = rng.random(count) < len(reals) / len(is_fake)  # (1 / fakes) / (1 / fakes + 1 / reals)
    drawn: list[int] = np.where(from_fakes, rng.choice(fakes, count), rng.choice(reals, count)).tolist()
    return drawn


def collate(items: list[Window]) -> Batch:
    """Put windows together; nothing is padded."""
    keys, faces, frame_labels = zip(*items, strict=True)
    return Batch(
        keys=list(keys),
        faces=stack(list(faces), keys=list(keys)),
        lengths=torch.tensor([len(one) for one in faces]),
        frame_label=torch.from_numpy(np.concatenate(frame_labels)),
        video_label=torch.tensor([int(one.max()) for one in frame_labels], dtype=torch.uint8),
    )


def stack(faces: list[np.ndarray], *, keys: list[str]) -> Tensor:
    """Put the faces of videos, `(n, S, S, 3)` uint8 each, one after the other: `(F, S, S, 3)`.

    Raises:
        ShardError: they are not of one size.
    """
    sides = [one.shape[1] for one in faces]
    if min(sides) < max(sides):
        small, large = keys[sides.index(min(sides))], keys[sides.index(max(sides))]
        raise ShardError(
            f"samples {small!r} and {large!r} have faces of {min(sides)} and {max(sides)} px; "
            "run `dvc repro --force faces`"
        )
    return torch.from_numpy(np.concatenate(faces))


def valid(lengths: Tensor, *, frames: int) -> Tensor:
    """Return the `(B, frames)` bool mask that is True where a frame is not padding."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
