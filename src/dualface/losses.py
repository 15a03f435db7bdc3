"""The losses: cross-entropy, focal, and the joint loss of Eqs. 2-5 with its stand-in for AUC over all pairs."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import sigmoid_focal_loss

HIGHEST_POWER, PAIRS_AT_ONCE = 8, 2**21  # above that power, all pairs are as cheap as their power sums


def pairwise_auc_loss(
    score: Tensor, label: Tensor, *, gamma: float, p: float = 2.0, valid: Tensor | None = None
) -> Tensor:
    """Mean of `max(0, gamma - (s_fake - s_real)) ** p` over all pairs of a fake and a real score (Eqs. 2-3).

    A pair pays when the fake's score does not exceed the real one's by the margin. The same as

        hinge = [max(0, gamma - (f - r)) ** p for f in fakes for r in reals]
        sum(hinge) / (len(fakes) * len(reals))

    but for whole p (to 8) in O(n log n) time and O(n) memory, value and gradient: sorted by f - gamma and r, what a
    real score pays grows from one place to the next by terms that are all positive, so that running sums give it
    without cancellation, also where nearly all pairs keep the margin. Other p take all pairs, a block at a time.

    A pair exactly at the margin costs nothing and has no gradient. With gamma = 0 only pairs in the wrong order pay,
    and ties do not. Everything is computed in float64, also under autocast (each hinge to about 1e-16); there is no
    second derivative. For whole p nothing waits for the device.

    Args:
        score: `(N,)` floats in [0, 1], P(fake).
        label: `(N,)`, 1 = FAKE.
        gamma: margin, 0 to 1.
        p: exponent, above 1.
        valid: `(N,)` bool, False where an element counts nowhere; None = all count.

    Returns:
        Scalar float64. Exactly 0 with zero gradient where one class is absent: there are no pairs then. NaN where
        a score is NaN: training stops on it (`dualface.train`).

    Raises:
        ValueError: score, label and valid are not vectors of one length, or p is not above 1.
    """
    _check(score=score, label=label, valid=valid)
    if not p > 1:
        raise ValueError(f"p is {p}, must be above 1: the gradient would jump at the margin")
    fake = label > 0.5
    real = ~fake
    if valid is not None:
        fake, real = fake & valid, real & valid
    loss: Tensor = _PairwiseHinge.apply(score.double(), fake, real, gamma, p)
    return loss


class _PairwiseHinge(torch.autograd.Function):
    """Value and gradient in one pass: the gradient is a sum of hinges to the power below, and needs no second sort."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd gives them by position)
        ctx: Any, score: Tensor, fake: Tensor, real: Tensor, gamma: float, p: float
    ) -> Tensor:
        power_sums = float(p).is_integer() and p <= HIGHEST_POWER
        total, slope = (
            _by_power_sums(score, fake, real, gamma, int(p)) if power_sums else _by_pairs(score, fake, real, gamma, p)
        )
        pairs = (fake.sum() * real.sum()).clamp(min=1)
        ctx.save_for_backward(slope / pairs)
        return total / pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None, None, None, None


def _by_power_sums(score: Tensor, fake: Tensor, real: Tensor, gamma: float, p: int) -> tuple[Tensor, Tensor]:
    """Return the sum over all pairs and its gradient `(N,)`."""
    key, order = torch.sort(torch.where(fake, score - gamma, score))
    fake, real = fake[order], real[order]
    step = key.diff()  # to the next key
    below = _power_sums(fake, step, p)
    total = torch.dot(below[p], real.double())
    above = _power_sums(real.flip(0), step.flip(0), p - 1)[p - 1].flip(0)
    slope = torch.empty_like(key)
    slope[order] = p * (real * below[p - 1] - fake * above)
    return total, slope


def _power_sums(counted: Tensor, step: Tensor, p: int) -> list[Tensor]:
    """Return, for q = 0 to p, `(N,)`: at each place, the sum of distances to all counted places before, to the power q.

    From a place to the next all distances grow by `step`; (a + step)^q is expanded by its binomial terms.
    """
    sums, powers = [counted.double().cumsum(0)], [step]
    for q in range(1, p + 1):
        grown = powers[q - 1] * sums[0][:-1]
        for lower in range(1, q):
            grown += math.comb(q, lower) * powers[q - 1 - lower] * sums[lower][:-1]
        sums.append(torch.nn.functional.pad(grown.cumsum(0), (1, 0))[: len(counted)])
        powers.append(powers[-1] * step)
    return sums


def _by_pairs(score: Tensor, fake: Tensor, real: Tensor, gamma: float, p: float) -> tuple[Tensor, Tensor]:
    """The same pair by pair, in blocks; waits for the device, since the number of pairs decides the shapes."""
    fakes, reals = score[fake], score[real]
    total, slope = 0 * score.sum(), torch.zeros_like(score)  # NaN where one is NaN, though in no pair
    of_fakes, of_reals = torch.zeros_like(fakes), torch.zeros_like(reals)
    rows = max(1, PAIRS_AT_ONCE // max(1, len(reals)))
    for start in range(0, len(fakes), rows):
        hinge = (gamma - (fakes[start : start + rows, None] - reals)).clamp(min=0)  # (rows, reals)
        total = total + hinge.pow(p).sum()
        paid = p * hinge.pow(p - 1)
        of_fakes[start : start + rows] = -paid.sum(1)
        of_reals += paid.sum(0)
    slope[fake], slope[real] = of_fakes, of_reals
    return total, slope


@dataclass(frozen=True)
class LevelLoss:
    """One level's loss.

    Attributes:
        total: scalar, to be minimised.
        terms: its parts by name (`bce`, `auc`, `focal`, `squared_error`), scalars, unweighted.
        pairs: scalar, pairs of a fake and a real element.
    """

    total: Tensor
    terms: dict[str, Tensor]
    pairs: Tensor


def joint_loss(
    logit: Tensor, label: Tensor, *, alpha: float, gamma: float, p: float, valid: Tensor | None = None
) -> LevelLoss:
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
        valid: `(N,)` bool, False where an element counts nowhere; None = all count.

    Raises:
        ValueError: logit, label and valid are not vectors of one length.
    """
    cross_entropy = bce_loss(logit, label, valid=valid)
    auc = pairwise_auc_loss(torch.sigmoid(logit.double()), label, gamma=gamma, p=p, valid=valid).float()
    total = alpha * cross_entropy.total + (1 - alpha) * auc
    return LevelLoss(total, cross_entropy.terms | {"auc": auc}, cross_entropy.pairs)


def bce_loss(logit: Tensor, label: Tensor, *, valid: Tensor | None = None, weight: Tensor | None = None) -> LevelLoss:
    """Binary cross-entropy of logits `(N,)`, the mean over valid elements; arguments as in `joint_loss`.

    Of the difference of two logits it is their cross-entropy. `weight`, `(N,)` floats from 0, says how much an element
    counts in the mean; None = all the same.
    """
    _check(logit=logit, label=label, valid=valid)
    each = binary_cross_entropy_with_logits(logit.float(), label.float().clamp(0, 1), reduction="none")
    loss = _mean(each, valid if weight is None else weight if valid is None else weight * valid)
    return LevelLoss(loss, {"bce": loss}, _pairs(label, valid))


def squared_error_loss(logit: Tensor, label: Tensor, *, valid: Tensor | None = None) -> LevelLoss:
    """Squared error of the probability, the mean over valid elements: MesoNet's loss; arguments as in `joint_loss`."""
    _check(logit=logit, label=label, valid=valid)
    loss = _mean((torch.sigmoid(logit.float()) - label.float().clamp(0, 1)).square(), valid)
    return LevelLoss(loss, {"squared_error": loss}, _pairs(label, valid))


def component_bce_loss(components: Tensor, label: Tensor, *, valid: Tensor | None = None) -> LevelLoss:
    """Sum of the components' cross-entropies, the mean over valid elements: Capsule-Forensics' loss.

    Args:
        components: `(N, K)` floats, a logit for each component of an element's score.
        label: `(N,)`, 1 = FAKE.
        valid: `(N,)` bool, False where an element counts nowhere; None = all count.

    Raises:
        ValueError: label and valid are not vectors of N.
    """
    each = [bce_loss(logit, label, valid=valid) for logit in components.unbind(1)]
    loss = torch.stack([one.total for one in each]).sum()
    return LevelLoss(loss, {"bce": loss}, each[0].pairs)


def focal_loss(
    logit: Tensor, label: Tensor, *, alpha: float, exponent: float, valid: Tensor | None = None
) -> LevelLoss:
    """Focal loss of logits `(N,)`, the mean over valid elements (the paper's comparison, Secs. 4.4.1-4.4.3).

    Args:
        logit: `(N,)` floats; their sigmoid is P(fake).
        label: `(N,)`, 1 = FAKE.
        alpha: weight of fakes, 0 to 1; 1 - alpha is the reals'.
        exponent: from 0; how fast an element counts less as it is decided better.
        valid: `(N,)` bool, False where an element counts nowhere; None = all count.

    Raises:
        ValueError: logit, label and valid are not vectors of one length.
    """
    _check(logit=logit, label=label, valid=valid)
    each = sigmoid_focal_loss(logit.float(), label.float().clamp(0, 1), alpha=alpha, gamma=exponent)
    loss = _mean(each, valid)
    return LevelLoss(loss, {"focal": loss}, _pairs(label, valid))


def dual_loss(levels: dict[str, LevelLoss], *, beta: float) -> Tensor:
    """Weigh the levels: `beta * video + (1 - beta) * frame` (Eq. 5); of one level alone, the loss is that level's."""
    if len(levels) == 1:
        return next(iter(levels.values())).total
    return beta * levels["video"].total + (1 - beta) * levels["frame"].total


def _mean(each: Tensor, weight: Tensor | None) -> Tensor:
    """Average `(N,)`, weighed by bools or floats `(N,)`; 0 where nothing counts. What weighs 0 may be NaN."""
    if weight is None:
        return each.mean()
    total = weight.sum()
    weighed = torch.where(weight > 0, each * weight, 0).sum()
    return weighed / (total.clamp(min=1) if weight.dtype == torch.bool else torch.where(total > 0, total, 1))


def _pairs(label: Tensor, valid: Tensor | None) -> Tensor:
    fake = label > 0.5
    real = ~fake
    return fake.sum() * real.sum() if valid is None else (fake & valid).sum() * (real & valid).sum()


def _check(*, label: Tensor, valid: Tensor | None, **scores: Tensor) -> None:
    ((name, score),) = scores.items()
    if score.ndim != 1 or score.shape != label.shape or (valid is not None and valid.shape != label.shape):
        told = f"{name} {tuple(score.shape)}, label {tuple(label.shape)}"
        if valid is not None:
            told += f" and valid {tuple(valid.shape)}"
        raise ValueError(f"{told} must be vectors of one length")
