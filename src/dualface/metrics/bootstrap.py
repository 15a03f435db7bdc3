"""95 % intervals by a stratified bootstrap over videos.

Frames of one video are alike, so it is videos that are drawn, with replacement, and a video's frames come and go
together. Real and fake videos are drawn separately, so that each replicate has the classes in their numbers.
Intervals are those of the percentiles (Efron 1981).
"""

from collections.abc import Callable

import numpy as np

from dualface.metrics.ranking import Curve, Ranked


def replicates(
    ranked: Ranked,
    video_label: np.ndarray,
    measure: Callable[[Curve], list[float]],
    *,
    resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Measure on resampled videos. Memory is that of one replicate.

    Args:
        ranked: the scores of V videos, or of their frames.
        video_label: `(V,)` integers, the class by which a video is drawn.
        measure: gives M values for a curve.
        resamples: how many replicates to draw.
        rng: where the draws come from.

    Returns:
        `(R, M)` float64. R is `resamples`, less the replicates in which a class has no score: at the video level
        there are none, but a fake video may have no fake frame among its faces, and may be drawn alone.
    """
    strata = [np.flatnonzero(video_label == label) for label in (0, 1)]
    rows = []
    for _ in range(resamples):
        curve = ranked.curve(_draw(strata, len(video_label), rng))
        if curve.fakes and curve.reals:
            rows.append(measure(curve))
    return np.array(rows, dtype=np.float64)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % percentiles of `(R,)` values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _draw(strata: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    weight = np.zeros(count, dtype=np.int64)
    for members in strata:
        drawn = rng.integers(len(members), size=len(members))
        weight[members] = np.bincount(drawn, minlength=len(members))
    return weight
