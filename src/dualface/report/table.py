"""The headline figures as plain text, for a terminal."""

import textwrap
from typing import Any

from dualface.report import words

WIDTH = 100
COLUMNS = ("level", "AUC [95 %]", "AP", "EER", "TPR at FPR 1 %", "bal. acc. [95 %]", "recall [95 %]", "threshold")


def table(metrics: dict[str, Any]) -> str:
    """Lay out metrics.json as aligned lines.

    Args:
        metrics: the content of metrics.json.
    """
    rows = [COLUMNS, *(_row(metrics, level, name=name) for level, name in words.levels(metrics).items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += ["", "balanced accuracy and recall (of fakes) at the threshold chosen on validation", _counts(metrics)]
    for sentence in words.caveats(metrics):
        lines += textwrap.wrap(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def _row(metrics: dict[str, Any], level: str, *, name: str) -> tuple[str, ...]:
    values, bounds = metrics[level], metrics["interval95"][level]
    decided, decided_bounds = values["at_threshold"], bounds["at_threshold"]
    return (
        name,
        _with(values["auc"], bounds["auc"]),
        f"{values['ap']:.3f}",
        f"{values['eer']:.3f}",
        f"{values['tpr_at_fpr_1e-2']:.3f}",
        _with(decided["balanced_accuracy"], decided_bounds["balanced_accuracy"]),
        _with(decided["recall_fake"], decided_bounds["recall_fake"]),
        f"{decided['threshold']:.3f}",
    )


def _with(value: float, bounds: dict[str, float]) -> str:
    return f"{value:.3f} [{bounds['low']:.3f}, {bounds['high']:.3f}]"


def _counts(metrics: dict[str, Any]) -> str:
    known = {level: metrics["counts"][level] for level in ("video", "frame") if level in metrics}
    return "; ".join(f"{name}s: {count['fake']:,} fake, {count['real']:,} real" for name, count in known.items())
