"""The charts: drawn once with matplotlib, as PNG for `dvc plots` and as SVG that takes the page's colours."""

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from dualface import label as labels
from dualface.card import Card
from dualface.metrics.ranking import Curve
from dualface.metrics.summary import Sample
from dualface.report import points, words

BINS = (10, 30)  # fewest and most of a histogram
LEAST_FPR = 1e-4


@dataclass(frozen=True)
class Palette:
    """The colours of the light page. Each occurs once, so that an SVG's can be given to the page's style sheet."""

    ink: str = "#1b1f24"
    muted: str = "#6a737e"
    line: str = "#d9dde2"
    real: str = "#2867b2"
    fake: str = "#d1495b"
    frame: str = "#b07d2b"


PALETTE = Palette()
LEVEL_COLOUR = {"video": PALETTE.ink, "video_max": PALETTE.muted, "frame": PALETTE.frame}
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": PALETTE.ink,
    "axes.labelcolor": PALETTE.muted,
    "axes.edgecolor": PALETTE.line,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE.line,
    "grid.linewidth": 0.6,
    "xtick.color": PALETTE.muted,
    "ytick.color": PALETTE.muted,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "dualface",
}


def draw(
    samples: dict[str, Sample],
    curves: dict[str, Curve],
    figures: dict[str, Any],
    *,
    card: Card,
    history: dict[str, np.ndarray],
) -> dict[str, Figure]:
    """Draw `roc`, `pr`, `scores`, `confusion` and, unless the history is empty, `history`."""
    drawn = {
        "roc": roc(curves, figures),
        "pr": precision_recall(curves, figures),
        "scores": scores(samples, card.thresholds, words.levels(figures)),
        "confusion": confusion(figures),
    }
    trained = training(history, best=card.epoch)
    return drawn if trained is None else {**drawn, "history": trained}


def roc(curves: dict[str, Curve], figures: dict[str, Any]) -> Figure:
    """Draw the ROC curve of each level, and its end of few false alarms on a logarithmic axis.

    Args:
        curves: counts by level.
        figures: the content of metrics.json, for the areas and the decision at the stored threshold.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9), layout="constrained")
        whole, few = figure.subplots(1, 2)
        names = words.levels(figures)
        least = max(LEAST_FPR, 0.5 / max(curve.reals for curve in curves.values()))
        for level, curve in curves.items():
            fpr, tpr = points.roc(curve)
            name = f"{names[level]}: AUC {figures[level]['auc']:.3f}"
            whole.plot(fpr, tpr, color=LEVEL_COLOUR[level], label=name)
            few.plot(np.maximum(fpr, least), tpr, color=LEVEL_COLOUR[level])
            decided = figures[level]["at_threshold"]
            x, y = 1 - decided["recall_real"], decided["recall_fake"]
            for axes, at in ((whole, x), (few, max(x, least))):
                axes.plot([at], [y], "o", color=LEVEL_COLOUR[level], markersize=5, clip_on=False, zorder=5)
        whole.plot([0, 1], [0, 1], linestyle=":", linewidth=1, color=PALETTE.muted)
        whole.legend(loc="lower right")
        whole.set(
            title="ROC", xlabel="reals called fake (FPR)", ylabel="fakes found (TPR)", xlim=(0, 1), ylim=(0, 1.02)
        )
        few.set(title="At few false alarms", xlabel="FPR, logarithmic", xscale="log", xlim=(least, 1), ylim=(0, 1.02))
        return figure


def precision_recall(curves: dict[str, Curve], figures: dict[str, Any]) -> Figure:
    """Draw precision over recall of each level, FAKE as positive; dotted: the share of fakes, which chance gives."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.9), layout="constrained")
        axes = figure.subplots()
        names = words.levels(figures)
        for level, curve in curves.items():
            colour = LEVEL_COLOUR[level]
            label = f"{names[level]}: AP {figures[level]['ap']:.3f}"
            axes.plot(*points.precision_recall(curve), color=colour, label=label)
            axes.axhline(curve.fakes / (curve.fakes + curve.reals), color=colour, linestyle=":", linewidth=1)
            decided = figures[level]["at_threshold"]
            if sum(decided["confusion"][f"{actual}_called_fake"] for actual in ("fake", "real")):
                axes.plot([decided["recall_fake"]], [decided["precision_fake"]], "o", color=colour, markersize=5)
        axes.legend(loc="best")
        axes.set(title="Precision and recall", xlabel="recall of fakes", ylabel="precision", xlim=(0, 1.02))
        axes.set_ylim(0, 1.03)
        return figure


def scores(samples: dict[str, Sample], thresholds: dict[str, float], names: dict[str, str]) -> Figure:
    """Draw each level's scores by class, each class as shares of its own number, with the stored threshold."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.9), layout="constrained")
        for level, axes in zip(samples, figure.subplots(1, len(samples), squeeze=False)[0], strict=True):
            sample = samples[level]
            fewer = np.bincount(sample.label).min()
            edges = np.linspace(0, 1, int(np.clip(2 * np.sqrt(fewer), *BINS)) + 1)
            for label, colour in ((labels.REAL, PALETTE.real), (labels.FAKE, PALETTE.fake)):
                chosen = sample.score[sample.label == label]
                share = np.histogram(chosen, bins=edges)[0] / len(chosen)
                name = f"{labels.NAMES[label]} ({len(chosen):,})"
                axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
                axes.stairs(share, edges, color=colour, linewidth=1.4, label=name)
            axes.axvline(thresholds[level], color=PALETTE.ink, linewidth=1, linestyle="--")
            axes.set(
                title=names[level].capitalize() if len(samples) > 2 else f"{names[level].capitalize()} scores",
                xlabel="P(fake)",
                ylabel="share of the class",
                xlim=(0, 1),
            )
            if len(samples) > 2:  # too narrow for a legend beside the title
                axes.legend(loc="best", handlelength=1.2)
            else:
                axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.1, handlelength=1.2)
        return figure


def confusion(figures: dict[str, Any]) -> Figure:
    """Draw what was called what at the stored threshold, a panel per level; colours are shares of the actual class."""
    with rc_context({**STYLE, "axes.grid": False}):
        shown = words.levels(figures)
        figure = Figure(figsize=(2.8 * len(shown), 2.7), layout="constrained")
        names = list(labels.NAMES.values())
        for level, axes in zip(shown, figure.subplots(1, len(shown), squeeze=False)[0], strict=True):
            decided = figures[level]["at_threshold"]
            counts = np.array([[decided["confusion"][f"{a}_called_{b}"] for b in names] for a in names])
            shares = counts / counts.sum(axis=1, keepdims=True)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.5 else PALETTE.ink
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=12)
            axes.set(xticks=[0, 1], xticklabels=names, yticks=[0, 1], yticklabels=names)
            axes.set(xlabel="called", ylabel="is", title=f"{shown[level].capitalize()}: {decided['threshold']:.3f}")
        return figure


def training(columns: dict[str, np.ndarray], *, best: int) -> Figure | None:
    """Draw the training history: losses on the left, AUCs on the right.

    Args:
        columns: by name, `(E,)` floats, NaN where not known; `epoch` among them.
        best: the epoch whose weights were kept.

    Returns:
        None where there is nothing to draw.
    """
    known = [name for name, values in columns.items() if np.isfinite(values).any()]
    panels = {word: [name for name in known if name.endswith(word)] for word in ("loss", "auc")}
    panels = {word: names for word, names in panels.items() if names}
    if not panels:
        return None
    colours = (PALETTE.ink, PALETTE.frame, PALETTE.real, PALETTE.fake, PALETTE.muted)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 2.9), layout="constrained")
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for (word, names), axes in zip(panels.items(), all_axes, strict=True):
            for name, colour in zip(names, colours, strict=False):
                axes.plot(columns["epoch"], columns[name], ".-", markersize=4, color=colour, label=_plain(name))
            axes.axvline(best, color=PALETTE.muted, linewidth=1, linestyle="--")
            axes.set(title={"loss": "Loss", "auc": "AUC"}[word], xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(loc="best")
        return figure


def pngs(drawn: dict[str, Figure]) -> dict[str, bytes]:
    """Render all but the history as PNG files by name; the same figure gives the same bytes."""
    files = {}
    for name in ("roc", "pr", "scores", "confusion"):
        buffer = io.BytesIO()
        with rc_context(STYLE):
            drawn[name].savefig(buffer, format="png", dpi=144, metadata={"Software": None})
        files[f"{name}.png"] = buffer.getvalue()
    return files


def svgs(drawn: dict[str, Figure]) -> dict[str, str]:
    """Render as SVG elements: no background, and colours by the names that the page's style sheet gives them."""
    return {name: _svg(figure) for name, figure in drawn.items()}


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for field in fields(PALETTE):
        text = text.replace(getattr(PALETTE, field.name), f"var(--{field.name})")
    return text


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("$", "")  # matplotlib takes what stands between two $ for TeX
