"""The joint loss of Eqs. 2-5: cross-entropy, and a differentiable stand-in for AUC over all pairs."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def pairwise_auc_loss(score: Tensor, label: Tensor, *, gamma: float, p: float = 2.0) -> Tensor:
    """Mean of `max(0, gamma - (s_fake - s_real)) ** p` over all pairs of a fake and a real score (Eqs. 2-3).

    A pair pays when the fake's score does not exceed the real one's by the margin. The same as

        hinge = [max(0, gamma - (f - r)) ** p for f in fakes for r in reals]
        sum(hinge) / (len(fakes) * len(reals))

    but for p = 2 in O(n log n) time and O(n) memory. Expand the square: a real score r is paid for by the fakes
    whose key f - gamma lies below r, and of those only the count, the sum and the sum of squares of their keys
    matter. Sorting all keys turns the three into running sums.

    Args:
        score: `(N,)` floats in [0, 1], P(fake). Computed on in float64 whatever the type: with float32 running
            sums the differences of a large, well separated batch drown in rounding.
        label: `(N,)`, 1 = FAKE.
        gamma: margin, 0 to 1.
        p: exponent, above 1; other than 2 in O(n^2) time and memory.

    Returns:
        Scalar float64. Exactly 0 with zero gradient where one class is absent: there are no pairs then. NaN where
        a score is NaN.

    Raises:
        ValueError: score and label are not two vectors of one length.
    """
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f"score {tuple(score.shape)} and label {tuple(label.shape)} must be vectors of one length")
    score, fake = score.double(), label > 0.5
    if fake.all() or not fake.any():
        return score.sum() * 0.0
    pairs = int(fake.sum()) * int((~fake).sum())
    total = _squared_hinge(score, fake, gamma) if p == 2 else _hinge(score, fake, gamma, p)
    return total / pairs + 0 * score.sum()  # a NaN among the fakes may meet no real score in sorted order


def _squared_hinge(score: Tensor, fake: Tensor, gamma: float) -> Tensor:
    """Sum of the squared hinge over all pairs."""
    key = torch.where(fake, score - gamma, score)
    order = torch.argsort(key.detach())
    key, counted = key[order], fake[order].double()
    count, first, second = (running.cumsum(0) for running in (counted, counted * key, counted * key**2))
    paid = count * key**2 - 2 * first * key + second  # sum over fakes below of (key - their key)^2
    total = ((1 - counted) * paid).sum()
    # Rounding can leave a tiny negative where every fake below has the same key. The gradient is sound even then.
    return total - total.detach().clamp(max=0)


def _hinge(score: Tensor, fake: Tensor, gamma: float, p: float) -> Tensor:
    """Sum of the hinge to the power p over all pairs, pair by pair."""
    return (gamma - (score[fake][:, None] - score[~fake][None, :])).clamp(min=0).pow(p).sum()


@dataclass(frozen=True)
class LevelLoss:
    """One level's loss and its terms, scalars; `pairs` is the number of fake-real pairs in the batch."""

    total: Tensor
    bce: Tensor
    auc: Tensor
    pairs: int


def joint_loss(logit: Tensor, label: Tensor, *, alpha: float, gamma: float, p: float) -> LevelLoss:
    """Weigh both terms of one level: `alpha * BCE + (1 - alpha) * AUC` (Eq. 4).

    Both terms push the logit of a fake up and of a real down.
    Differs from the paper: its published code lets the two terms pull against each other, and averages over
    the violating pairs only; here the mean is over all pairs, as Eq. 2 says.

    Args:
        logit: `(N,)` floats; their sigmoid is P(fake).
        label: `(N,)`, 1 = FAKE.
        alpha: weight of the cross-entropy, 0 to 1.
        gamma: margin of the AUC term.
        p: exponent of the AUC term.

    Raises:
        ValueError: logit and label are not two vectors of one length.
    """
    if logit.ndim != 1 or logit.shape != label.shape:
        raise ValueError(f"logit {tuple(logit.shape)} and label {tuple(label.shape)} must be vectors of one length")
    logit, target = logit.float(), label.float()
    bce = binary_cross_entropy_with_logits(logit, target)
    auc = pairwise_auc_loss(torch.sigmoid(logit.double()), target, gamma=gamma, p=p).float()
    fakes = int(target.sum())
    return LevelLoss(alpha * bce + (1 - alpha) * auc, bce, auc, fakes * (len(target) - fakes))


def dual_loss(video: LevelLoss, frame: LevelLoss, *, beta: float) -> Tensor:
    """Weigh the levels: `beta * video + (1 - beta) * frame` (Eq. 5)."""
    return beta * video.total + (1 - beta) * frame.total
