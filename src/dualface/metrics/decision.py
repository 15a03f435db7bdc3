"""What a decision is worth: the figures at one threshold, and the choice of that threshold."""

import numpy as np

from dualface.metrics.ranking import Curve, Ranked

DECISION_NAMES = (
    "accuracy",
    "balanced_accuracy",
    "precision_fake",
    "recall_fake",
    "f1_fake",
    "precision_real",
    "recall_real",
    "f1_real",
)


def decisions(curve: Curve, position: int) -> dict[str, float]:
    """Measure the rule `score >= threshold is FAKE`.

    `..._fake` takes FAKE as the positive class, `..._real` REAL (as Tables 7-11 of the paper do). A ratio of
    0 to 0, such as the precision of a detector that calls nothing FAKE, is 0.

    Args:
        curve: counts along the ranking.
        position: `Ranked.position(threshold)`.

    Returns:
        The values of `DECISION_NAMES`, in that order.
    """
    counts = confusion(curve, position)
    tp, fn = counts["fake_called_fake"], counts["fake_called_real"]
    fp, tn = counts["real_called_fake"], counts["real_called_real"]
    values = (
        _ratio(tp + tn, tp + tn + fp + fn),
        (_ratio(tp, tp + fn) + _ratio(tn, tn + fp)) / 2,
        _ratio(tp, tp + fp),
        _ratio(tp, tp + fn),
        _ratio(2 * tp, 2 * tp + fp + fn),
        _ratio(tn, tn + fn),
        _ratio(tn, tn + fp),
        _ratio(2 * tn, 2 * tn + fp + fn),
    )
    return dict(zip(DECISION_NAMES, values, strict=True))


def confusion(curve: Curve, position: int) -> dict[str, int]:
    """Count how many of each class are called what."""
    tp, fp = int(curve.tp[position]), int(curve.fp[position])
    return {
        "fake_called_fake": tp,
        "fake_called_real": curve.fakes - tp,
        "real_called_fake": fp,
        "real_called_real": curve.reals - fp,
    }


def youden_threshold(score: np.ndarray, label: np.ndarray) -> float:
    """Choose the threshold of the highest balanced accuracy (that of Youden's J = TPR + TNR - 1).

    Candidates are the midpoints between neighbours among 0, the distinct scores and 1. Of equally good ones, that
    in the widest gap is taken, as it is furthest from any score seen; then the lowest, which finds more fakes.

    Args:
        score: `(N,)` floats in [0, 1], P(fake), of validation data. They are compared as float64, and so must be
            the scores that the threshold is later put to: in float32 a midpoint may round onto a score.
        label: `(N,)` integers, 1 = FAKE.

    Raises:
        DualfaceError: a score is out of range, or there is only one class.
    """
    ranked = Ranked(score, label, np.arange(len(score)))
    curve = ranked.curve()
    edges = np.concatenate([[1.0], ranked.score, [0.0]])
    candidates = (edges[1:] + edges[:-1]) / 2
    gaps = edges[:-1] - edges[1:]
    points = np.searchsorted(-ranked.score, -candidates, side="right")  # a candidate may be a score: 1 beside 1
    right = curve.tp[points] * curve.reals + (curve.reals - curve.fp[points]) * curve.fakes  # exact, in integers
    best = np.flatnonzero(right == right.max())
    widest = best[gaps[best] == gaps[best].max()]
    return float(candidates[widest[-1]])


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
