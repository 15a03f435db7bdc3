"""Points of curves and counts of decisions, few enough to draw and to keep in git."""

from typing import Any

import numpy as np

from dualface.metrics.ranking import Curve

POINTS = 500  # of a curve, at most
COLUMNS = {
    "roc": ["fpr", "tpr"],
    "pr": ["recall", "precision"],
    "confusion": ["actual", "predicted", "count", "share"],
}


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
    """Make the files that `dvc plots` draws from, by name: the curves, and the decisions at the stored threshold.

    The names are the same for all methods, so that git can put one's in another's place: a level that a method lacks
    has files without rows, and a second score of videos (`video_max`) has none; the page and the pictures show it.
    """
    files = {}
    for level in ("video", "frame"):
        for plot, names in COLUMNS.items():
            files[f"{plot}_{level}.csv"] = _csv(names, [])
        if level not in curves:
            continue
        curve = curves[level]
        files[f"roc_{level}.csv"] = _csv(COLUMNS["roc"], _rounded(roc(curve)))
        files[f"pr_{level}.csv"] = _csv(COLUMNS["pr"], _rounded(precision_recall(curve)))
        decided = _decided(figures[level]["at_threshold"]["confusion"])
        files[f"confusion_{level}.csv"] = _csv(COLUMNS["confusion"], decided)
    return files


def _rounded(columns: tuple[np.ndarray, ...]) -> list[list[str]]:
    return [[f"{value:.6f}" for value in row] for row in zip(*columns, strict=True)]


def _decided(confusion: dict[str, int]) -> list[list[str]]:
    """Make a row per cell: the classes, how many, and their share of the actual class."""
    rows = []
    for name, count in confusion.items():
        actual, called = name.split("_called_")
        whole = sum(other for cell, other in confusion.items() if cell.startswith(f"{actual}_"))
        rows.append([actual, called, str(count), f"{count / whole:.6f}"])
    return rows


def _evenly(position: np.ndarray, count: int) -> np.ndarray:
    """Choose at most `count` of `(K,)` rising positions, about evenly spaced, with both ends."""
    wanted = np.linspace(position[0], position[-1], count)
    return np.unique(np.searchsorted(position, wanted, side="right") - 1)


def _csv(names: list[str], rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in [names, *rows]).encode()
