"""What every network gives: logits of FAKE by level, and how faces of videos of different lengths are laid out."""

from typing import NamedTuple

import torch
from torch import Tensor


class Logits(NamedTuple):
    """Logits whose sigmoid is P(fake); padded frames count nowhere.

    Attributes:
        video: `(B,)`; None from a method that judges no videos.
        frame: `(B, T)`; None from a method that judges no frames.
        components: `(B, T, K)`, what a frame's score is made of, where its method's own loss is on these.
        weight: `(B,)`, how much a video's frames count in the method's own loss; None = all the same.
    """

    video: Tensor | None
    frame: Tensor | None
    components: Tensor | None = None
    weight: Tensor | None = None


def repeat_last(values: Tensor, lengths: Tensor, *, frames: int) -> Tensor:
    """Lay out what was computed of each face by videos; a shorter video repeats its last face (Sec. 4.2.1).

    Differs from the paper: features are repeated instead of faces. They have the same values without the cost, and
    batch normalisation sees each face once. Repeated frames are in no loss and no metric.

    Args:
        values: `(F, D)`, one video's faces after the other's.
        lengths: `(B,)` int64, number of faces of each video, from 1 to `frames`, summing to F; on the CPU.
        frames: T.

    Returns:
        `(B, T, D)`.
    """
    last = lengths.cumsum(0) - 1  # (B,) row of each video's last face
    first = last - lengths + 1
    rows = torch.minimum(first[:, None] + torch.arange(frames), last[:, None])  # (B, T)
    return values[rows.to(values.device, non_blocking=True)]  # (B, T, D)
