"""What a ranking of scores is worth: AUC, average precision, equal error rate, recall at few false alarms.

Everything follows from two running counts over the distinct scores, so the scores are sorted once and a
resampling of the videos costs one pass over the frames.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from dualface.errors import DualfaceError


@dataclass(frozen=True)
class Curve:
    """The counts behind every ROC and precision-recall curve.

    Attributes:
        tp: `(K + 1,)` int64, fakes with a score at or above each of K distinct scores, highest first; begins with 0.
        fp: `(K + 1,)` int64, the same of the reals.
    """

    tp: np.ndarray
    fp: np.ndarray

    @property
    def fakes(self) -> int:
        """All fakes."""
        return int(self.tp[-1])

    @property
    def reals(self) -> int:
        """All reals."""
        return int(self.fp[-1])


class Ranked:
    """Scores, sorted once.

    Attributes:
        score: `(K,)` float64, the distinct scores, highest first.
    """

    def __init__(self, score: np.ndarray, label: np.ndarray, group: np.ndarray) -> None:
        """Sort the scores.

        Args:
            score: `(N,)` floats in [0, 1], P(fake).
            label: `(N,)` integers, 1 = FAKE.
            group: `(N,)` integers, number of the video that each score belongs to, from 0.

        Raises:
            DualfaceError: lengths differ, a score is out of range, or there is only one class.
        """
        check(score, label)
        if len(group) != len(score):
            raise DualfaceError(f"metrics: {len(score)} scores for {len(group)} video numbers; give one each")
        descending = np.argsort(-score.astype(np.float64), kind="stable")
        ordered = score.astype(np.float64)[descending]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each run of equal scores
        self._ends = np.append(0, last + 1)
        self._fake = (label[descending] == 1).astype(np.int64)
        self._group = group[descending].astype(np.intp)
        self.score = ordered[last]

    def curve(self, weight: np.ndarray | None = None) -> Curve:
        """Count along the ranking.

        Args:
            weight: `(V,)` int64, how many times each video counts; None = once each.
        """
        weights = np.ones(len(self._group), dtype=np.int64) if weight is None else weight[self._group]
        tp = _running(weights * self._fake)
        fp = _running(weights)
        fp -= tp
        if len(self._ends) < len(tp):
            tp, fp = tp[self._ends], fp[self._ends]
        return Curve(tp, fp)

    def position(self, threshold: float) -> int:
        """Say which point of every curve belongs to `score >= threshold`."""
        return int(np.count_nonzero(self.score >= threshold))


def check(score: np.ndarray, label: np.ndarray) -> None:
    """Raise DualfaceError unless there are scores in [0, 1] of both classes, one label each."""
    if score.ndim != 1 or score.shape != label.shape:
        raise DualfaceError(f"metrics: scores {score.shape} and labels {label.shape} differ; give one label per score")
    if not np.all((score >= 0) & (score <= 1)):
        raise DualfaceError("metrics: a score is not a probability in [0, 1]; run `dvc repro score`")
    fakes, reals = int(np.sum(label == 1)), int(np.sum(label == 0))
    if fakes + reals != len(label):
        raise DualfaceError("metrics: a label is neither 0 (REAL) nor 1 (FAKE)")
    if not fakes or not reals:
        raise DualfaceError(f"metrics need both classes, and there are {reals} real and {fakes} fake scores")


def roc_auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve of `(N,)` scores in [0, 1] and labels (1 = FAKE).

    Raises:
        DualfaceError: a score is out of range, or there is only one class.
    """
    return auc(Ranked(score, label, np.zeros(len(score), dtype=np.intp)).curve())


def auc(curve: Curve) -> float:
    """Area under the ROC curve: the share of (fake, real) pairs in right order, where a tie counts a half."""
    twice = np.diff(curve.fp) @ (curve.tp[1:] + curve.tp[:-1])  # in integers, so exact
    return int(twice) / (2 * curve.fakes * curve.reals)


def average_precision(curve: Curve) -> float:
    """Average precision: the sum over distinct scores of precision times the recall gained, not interpolated."""
    called = np.maximum(curve.tp + curve.fp, 1)  # where nothing is called FAKE, nothing is gained either
    return float(np.sum(np.diff(curve.tp) * (curve.tp / called)[1:])) / curve.fakes


def equal_error_rate(curve: Curve) -> float:
    """The error rate where as large a share of the reals is called FAKE as of the fakes is called REAL.

    The ROC curve's points are joined by straight lines, and the value is read where they cross FPR = 1 - TPR.
    """
    pairs = curve.fakes * curve.reals

    def excess(point: int) -> int:
        """FPR - FNR, times the number of pairs: rises along the curve from -pairs to pairs."""
        return int(curve.fp[point]) * curve.fakes + int(curve.tp[point]) * curve.reals - pairs

    after = bisect_left(range(len(curve.tp)), 0, key=excess)
    share = -excess(after - 1) / (excess(after) - excess(after - 1))
    return float(curve.fp[after - 1] + share * (curve.fp[after] - curve.fp[after - 1])) / curve.reals


def tpr_at_fpr(curve: Curve, limit: float) -> float:
    """The largest TPR among the thresholds whose FPR is at most `limit`; nothing is interpolated.

    With fewer than 1 / limit reals, this is the share of fakes that score above every real.
    """
    allowed = int(limit * curve.reals + 1e-9)  # 0.01 * 100 may fall short of 1 by rounding
    return float(curve.tp[np.searchsorted(curve.fp, allowed, side="right") - 1]) / curve.fakes


def _running(counts: np.ndarray) -> np.ndarray:
    total = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=total[1:])
    return total
