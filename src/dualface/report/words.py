"""What the report says in words: how much so few videos can prove."""

import math
from typing import Any

Z95 = 1.959964  # of the normal distribution, two-sided 95 %
AGGREGATES = {"mean": "mean of frames", "max": "highest frame"}
LEVELS = ("video", "video_max", "frame")


def levels(figures: dict[str, Any]) -> dict[str, str]:
    """Name the levels of metrics.json for people; a score of videos that comes from their frames' is marked so."""
    aggregated = figures.get("aggregated", {})
    return {
        level: f"{level.split('_')[0]}, {AGGREGATES[aggregated[level]]}" if level in aggregated else level
        for level in LEVELS
        if level in figures
    }


def caveats(figures: dict[str, Any]) -> list[str]:
    """Say what the test videos can't prove, from metrics.json alone; most important first."""
    counts = figures["counts"]["video"]
    confusion = figures["video"]["at_threshold"]["confusion"]
    sentences = _shared(figures["counts"])
    sentences += [_recall(counts["fake"], found=confusion["fake_called_fake"])]
    sentences.append(_alarms(counts["real"], false=confusion["real_called_fake"]))
    auc = figures["interval95"]["video"]["auc"]
    if auc["low"] == auc["high"]:
        sentences.append(
            "An interval without width is no certainty: the bootstrap redraws the videos that were tested, and here"
            " every redraw gives the same figure."
        )
    unscored = sum(row["in_split"] - row["scored"] for row in _rows(figures))
    if unscored:
        sentences.append(f"{_videos(unscored)} of the split {'has' if unscored == 1 else 'have'} no score.")
    lost = sum(row["listed"] - row["with_faces"] for row in _rows(figures))
    if lost:
        sentences.append(
            f"{_videos(lost)} of those listed gave no usable faces and {'is' if lost == 1 else 'are'} in no figure."
        )
    return sentences


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927): unlike the bootstrap's, it has width at 0 and at 1."""
    share, square = part / whole, Z95**2 / whole
    centre = share + square / 2
    spread = Z95 * math.sqrt(share * (1 - share) / whole + square / (4 * whole))
    return max(0.0, (centre - spread) / (1 + square)), min(1.0, (centre + spread) / (1 + square))


def _shared(counts: dict[str, Any]) -> list[str]:
    """Say in which way the scored videos are no fresh, independent evidence."""
    sentences = []
    if seen := counts["seen_in_validation"]:
        sentences.append(
            f"{_videos(seen)} scored here also served as validation: the epoch and the thresholds were chosen on"
            " them, so these figures are better than new videos would give."
        )
    videos = counts["video"]["real"] + counts["video"]["fake"]
    if counts["identities"] == videos:
        sentences.append(
            "No person is known to be in two of these videos: unless that is so, someone may be in training and in test"
            " at once, and the figures too good."
        )
    if counts["identities"] < videos:
        sentences.append(
            f"{_videos(videos)} show {counts['identities']:,} people: clips of one person are alike, and the intervals"
            " take videos as independent."
        )
    return sentences


def _recall(fakes: int, *, found: int) -> str:
    low, high = wilson(found, fakes)
    seen = f"{_videos(fakes, 'fake')}, of which {found} {'is' if found == 1 else 'are'} found at the stored threshold"
    moves = f"one video moves the recall by {100 / fakes:.3g} points"
    return f"{seen}: {moves}, and the true recall lies {_between(low, high)}."


def _alarms(reals: int, *, false: int) -> str:
    low, high = wilson(false, reals)
    seen = f"{_videos(reals, 'real')}, of which {false} {'is' if false == 1 else 'are'} called fake"
    told = f"{seen}: the false-alarm rate lies {_between(low, high)}"
    blurred = [
        name for name, needed in (("1\N{NO-BREAK SPACE}%", 100), ("0.1\N{NO-BREAK SPACE}%", 1000)) if reals < needed
    ]
    if not blurred:
        return f"{told}."
    return (
        f"{told}. A rate below 1/{reals} = {_percent(1 / reals)} can't be resolved, so that the video level's TPR at"
        f" FPR ≤ {' and ≤ '.join(blurred)} is the TPR without any false alarm."
    )


def _between(low: float, high: float) -> str:
    return f"between {_percent(low)} and {_percent(high)} (95\N{NO-BREAK SPACE}%, Wilson)"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"


def _rows(figures: dict[str, Any]) -> list[dict[str, int]]:
    return [row for classes in figures["coverage"].values() for row in classes.values()]


def _videos(count: int, kind: str = "") -> str:
    return f"{count:,} {kind + ' ' if kind else ''}video{'' if count == 1 else 's'}"
