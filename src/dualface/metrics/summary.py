"""All figures of one level, video or frame, with their intervals."""

from dataclasses import dataclass

import numpy as np

from dualface.metrics import ranking
from dualface.metrics.bootstrap import interval, replicates
from dualface.metrics.decision import confusion, decisions
from dualface.metrics.ranking import Curve, Ranked

HALF = 0.5
WITH_INTERVAL = ("accuracy", "balanced_accuracy", "precision_fake", "recall_fake", "f1_fake", "recall_real")


@dataclass(frozen=True)
class Sample:
    """The scores of one level.

    Attributes:
        score: `(N,)` floats in [0, 1], P(fake).
        label: `(N,)` integers, 1 = FAKE.
        group: `(N,)` integers, number of the video that each belongs to, 0 to V - 1.
        video_label: `(V,)` integers, label of each video.
    """

    score: np.ndarray
    label: np.ndarray
    group: np.ndarray
    video_label: np.ndarray


@dataclass(frozen=True)
class Summary:
    """What one level's scores are worth.

    Attributes:
        values: the figures, nested: free of a threshold, `at_half` and `at_threshold`.
        intervals: `{"low": ..., "high": ...}` for the figures that have one, nested like `values`.
        replicates: how many bootstrap replicates the intervals rest on.
        curve: the counts, for the plots.
    """

    values: dict[str, object]
    intervals: dict[str, object]
    replicates: int
    curve: Curve


def summarise(sample: Sample, *, threshold: float, resamples: int, rng: np.random.Generator) -> Summary:
    """Measure one level.

    Args:
        sample: its scores.
        threshold: the decision threshold on P(fake), chosen elsewhere; `score >= threshold` is FAKE. The intervals
            take it as given: they do not tell how it would vary with the validation data.
        resamples: bootstrap replicates.
        rng: where the replicates come from.

    Raises:
        DualfaceError: a score is out of range, or there is only one class.
    """
    ranked = Ranked(sample.score, sample.label, sample.group)
    curve, position = ranked.curve(), ranked.position(threshold)
    free = free_of_threshold(curve)
    values: dict[str, object] = {
        **free,
        "at_half": at_threshold(ranked, curve, HALF),
        "at_threshold": at_threshold(ranked, curve, threshold),
    }

    def measure(drawn: Curve) -> list[float]:
        decided = decisions(drawn, position)
        return [*free_of_threshold(drawn).values(), *(decided[name] for name in WITH_INTERVAL)]

    drawn = replicates(ranked, sample.video_label, measure, resamples=resamples, rng=rng)
    bounds = [dict(zip(("low", "high"), interval(column), strict=True)) for column in drawn.T]
    intervals: dict[str, object] = dict(zip(free, bounds, strict=False))
    intervals["at_threshold"] = dict(zip(WITH_INTERVAL, bounds[len(free) :], strict=True))
    return Summary(values, intervals, len(drawn), curve)


def free_of_threshold(curve: Curve) -> dict[str, float]:
    """Measure the ranking itself."""
    return {
        "auc": ranking.auc(curve),
        "ap": ranking.average_precision(curve),
        "eer": ranking.equal_error_rate(curve),
        "tpr_at_fpr_1e-2": ranking.tpr_at_fpr(curve, 0.01),
        "tpr_at_fpr_1e-3": ranking.tpr_at_fpr(curve, 0.001),
    }


def at_threshold(ranked: Ranked, curve: Curve, threshold: float) -> dict[str, object]:
    """Measure the decisions at one threshold, with the counts behind them."""
    position = ranked.position(threshold)
    return {
        "threshold": threshold,
        **decisions(curve, position),
        "confusion": confusion(curve, position),
    }
