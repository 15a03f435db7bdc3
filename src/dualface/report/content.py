"""What the report says in numbers: the content of metrics.json."""

import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from dualface import label as labels
from dualface.errors import DualfaceError
from dualface.ledger import WITH_FACES, Attempt
from dualface.manifest import Video
from dualface.metrics.ranking import Curve
from dualface.metrics.summary import Sample, summarise
from dualface.scores import VideoScores, of_level
from dualface.split import Choice

DIGITS = 6  # of a figure in metrics.json: enough to compare, few enough to read in a diff


def check_scored(videos: list[VideoScores], chosen: dict[str, int], *, name: str) -> None:
    """Raise DualfaceError unless the scored videos are of the split and of both classes.

    Args:
        videos: what was scored.
        chosen: labels by key of the split that was to be scored.
        name: that split's name.
    """
    for video in videos:
        if chosen.get(video.key) != video.label:
            what = "another label in" if video.key in chosen else "not in"
            raise DualfaceError(f"scored video {video.key!r} is {what} split {name!r}; run `dvc repro score`")
    fakes = sum(video.label == labels.FAKE for video in videos)
    if not fakes or fakes == len(videos):
        raise DualfaceError(
            f"split {name!r} has {len(videos) - fakes} real and {fakes} fake scored videos, and metrics need both"
            " classes; see `subset` in params.yaml"
        )


def samples(videos: list[VideoScores], levels: Iterable[str]) -> dict[str, Sample]:
    """Arrange the scores by level, as `dualface.scores.of_level` names them; videos are numbered in the order given."""
    video_label = np.array([video.label for video in videos])
    order = np.arange(len(videos))
    of_frames = np.repeat(order, [len(video.frame) for video in videos])
    return {
        level: Sample(*of_level(videos, level), of_frames if level == "frame" else order, video_label)
        for level in levels
    }


def measure(
    videos: list[VideoScores], *, thresholds: dict[str, float], resamples: int, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Curve]]:
    """Measure each level.

    Args:
        videos: the scores.
        thresholds: decision threshold by level; these levels are measured.
        resamples: bootstrap replicates behind the intervals.
        rng: where they come from.

    Returns:
        The figures (by level, `interval95`, `counts`, and `aggregated`, which says how the scores of videos were made
        where the method gives none), and by level the curve behind them.

    Raises:
        DualfaceError: at either level there is only one class.
    """
    levels = samples(videos, thresholds)
    summaries = {
        level: summarise(sample, threshold=thresholds[level], resamples=resamples, rng=rng)
        for level, sample in levels.items()
    }
    figures = {
        **{level: summary.values for level, summary in summaries.items()},
        **({"aggregated": {"video": "mean", "video_max": "max"}} if "video_max" in levels else {}),
        "interval95": {level: summary.intervals for level, summary in summaries.items()},
        "counts": {
            **{level: {"real": s.curve.reals, "fake": s.curve.fakes} for level, s in summaries.items()},
            "resamples": {level: summary.replicates for level, summary in summaries.items()},
        },
    }
    return rounded(figures), {level: summary.curve for level, summary in summaries.items()}


def coverage(
    listed: list[Video], attempts: list[Attempt], *, chosen: dict[str, int], scored: Collection[str], official: str
) -> dict[str, Any]:
    """Count what became of the listed videos, so that a loss before scoring stands beside every figure.

    Args:
        listed: the manifest.
        attempts: the ledger.
        chosen: labels by key of the split that was scored.
        scored: keys that have scores.
        official: the official split that the scored one takes its videos from.

    Returns:
        By data set, then class: how many videos are `listed` (in that official split, or chosen from elsewhere),
        `with_faces` (in the shards), `in_split` and `scored`.

    Raises:
        DualfaceError: the split names a video that the manifest lacks.
    """
    if unknown := sorted(chosen.keys() - {video.key for video in listed}):
        raise DualfaceError(f"video {unknown[0]!r} is in the split, not in the manifest; run `dvc repro subset`")
    with_faces = {attempt.key for attempt in attempts if attempt.outcome in WITH_FACES}
    counts: dict[str, Any] = {}
    for video in sorted(listed, key=lambda video: video.dataset):
        if (video.split or "train") != official and video.key not in chosen:  # as the subset stage counts it
            continue
        classes = counts.setdefault(re.sub(r"[^\w-]", "_", video.dataset), {})  # DVC's names hold no dots
        for name in labels.NAMES.values():
            classes.setdefault(name, {"listed": 0, "with_faces": 0, "in_split": 0, "scored": 0})
        row = classes[labels.NAMES[video.label]]
        row["listed"] += 1
        row["with_faces"] += video.key in with_faces
        row["in_split"] += video.key in chosen
        row["scored"] += video.key in scored
    return counts


def provenance(chosen: Collection[str], choices: list[Choice], listed: list[Video]) -> dict[str, int]:
    """Count what the scored videos share: `identities` seen in them, and how many are `seen_in_validation` too."""
    people = {identity for video in listed if video.key in chosen for identity in video.identities}
    validation = {choice.key for choice in choices if choice.split == "val"}
    return {"identities": len(people), "seen_in_validation": len(validation & set(chosen))}


def rounded(figures: Any) -> Any:
    """Round every float in nested dicts to `DIGITS`; the order stays."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return round(figures, DIGITS) if isinstance(figures, float) else figures
