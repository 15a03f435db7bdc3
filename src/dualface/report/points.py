"""Points of curves and counts of decisions, few enough to draw and to keep in git."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dualface.metrics.ranking import Curve

POINTS = 500  # of a curve, at most


def roc(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return FPR and TPR, `(P,)` float64 each, rising; P is at most `POINTS`.

    Points are kept evenly along the curve and, for the end that matters, evenly in log(FPR).
    """
    fpr, tpr = curve.fp / curve.reals, curve.tp / curve.fakes
    along, small = fpr + tpr, np.log(curve.fp + 1.0)
    keep = np.union1d(_evenly(along, POINTS // 2), _evenly(small, POINTS // 2))
    return fpr[keep], tpr[keep]


def precision_recall(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision, `(P,)` float64 each, at the scores of fakes and where all is called FAKE.

    The former are the points of the average precision's sum; between them precision only falls.
    """
    gains = np.flatnonzero(np.diff(curve.tp)) + 1
    keep = np.union1d(gains[_evenly(curve.tp[gains].astype(np.float64), POINTS - 1)], [len(curve.tp) - 1])
    return curve.tp[keep] / curve.fakes, curve.tp[keep] / (curve.tp[keep] + curve.fp[keep])


def tables(curves: dict[str, Curve], figures: dict[str, Any]) -> dict[str, bytes]:
    """Make the files that `dvc plots` draws from, by name: the curves, and the decisions at the stored threshold."""
    files, roc_rows, pr_rows = {}, [], []
    for level, curve in curves.items():
        roc_rows += [[level, f"{x:.6f}", f"{y:.6f}"] for x, y in zip(*roc(curve), strict=True)]
        pr_rows += [[level, f"{x:.6f}", f"{y:.6f}"] for x, y in zip(*precision_recall(curve), strict=True)]
        decided = _decided(figures[level]["at_threshold"]["confusion"])
        files[f"confusion_{level}.csv"] = _csv([["actual", "predicted"], *decided])
    files["roc.csv"] = _csv([["level", "fpr", "tpr"], *roc_rows])
    files["pr.csv"] = _csv([["level", "recall", "precision"], *pr_rows])
    return files


def _decided(confusion: dict[str, int]) -> Iterator[list[str]]:
    """Yield a row per decision, as DVC's confusion template counts them itself."""
    for name, count in confusion.items():
        actual, predicted = name.split("_called_")
        for _ in range(count):
            yield [actual, predicted]


def _evenly(position: np.ndarray, count: int) -> np.ndarray:
    """Choose at most `count` of `(K,)` rising positions, about evenly spaced, with both ends."""
    wanted = np.linspace(position[0], position[-1], count)
    return np.unique(np.searchsorted(position, wanted, side="right") - 1)


def _csv(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()
