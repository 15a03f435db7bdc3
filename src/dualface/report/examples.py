"""The videos that the page shows: which, with their faces and how the score ran."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from matplotlib.image import imsave

from dualface import label as labels
from dualface.scores import VideoScores
from dualface.shards.read import Shards

FACES = 10  # in a strip
SIDE = 96  # px of a face in a strip, at most
QUALITY = 85  # of its JPEG: the page is for looking, the shards are for measuring
BUCKETS = 300  # of a timeline; each shows its highest and its lowest score
PER_KIND = 2


@dataclass(frozen=True)
class Pick:
    """A video to show, and why: `kind` in words."""

    video: VideoScores
    kind: str


@dataclass(frozen=True)
class Example:
    """What the page shows of a video.

    Attributes:
        pick: the video and why it was chosen.
        strip: a JPEG of faces side by side, in base64; empty where the shards hold none.
        side: px of one face in the strip.
        shown: frame number, score and place in the timeline (0 to 100) of each face in the strip that has a score.
        faces: in the strip.
        line: points of the score's line, `x,y` in 0-100, y downwards.
        shaded: start and width, in 0-100, of the runs of fake frames.
        first: first scored frame number.
        last: last scored frame number.
    """

    pick: Pick
    strip: str
    side: int
    shown: list[tuple[int, float, float]]
    faces: int
    line: str
    shaded: list[tuple[float, float]]
    first: int
    last: int


def select(videos: list[VideoScores], shards: Shards, *, threshold: float) -> list[Example]:
    """Choose the videos and prepare what the page shows of them."""
    return [show(pick, shards) for pick in choose(videos, threshold)]


def choose(videos: list[VideoScores], threshold: float) -> list[Pick]:
    """Choose up to 8 videos: of each class the worst mistakes and the surest right ones.

    Where a class has too few mistakes, the right ones closest to the threshold take their places.

    Args:
        videos: the scores.
        threshold: decision threshold of the video level.
    """
    picks = []
    for label, wrong_word, right_word in (
        (labels.FAKE, "fake, missed", "fake, found"),
        (labels.REAL, "real, called fake", "real, passed"),
    ):
        sign = 1 if label == labels.FAKE else -1
        # from the worst mistake to the surest right one; equal scores in the order of their keys
        ranking = sorted((v for v in videos if v.label == label), key=lambda v: (sign * v.score, v.key))
        wrong = [video for video in ranking if (video.score >= threshold) != (label == labels.FAKE)]
        right = ranking[len(wrong) :]
        picks += [Pick(video, wrong_word) for video in wrong[:PER_KIND]]
        close = right[: PER_KIND - len(wrong[:PER_KIND])]
        picks += [Pick(video, f"{right_word}, closest") for video in close]
        picks += [Pick(video, f"{right_word}, surest") for video in right[len(close) :][-PER_KIND:][::-1]]
    return picks


def show(pick: Pick, shards: Shards) -> Example:
    """Cut a video's strip of faces and draw its timeline.

    Raises:
        ShardError: its sample is broken. A sample that is missing only leaves the strip empty.
    """
    video = pick.video
    if not len(video.frame):
        return _unscored(pick, shards)
    first, last = int(video.frame[0]), int(video.frame[-1])
    place = 100 * (video.frame - first) / max(last - first, 1)
    strip, side, at = _strip(video, shards)
    shown = [(int(video.frame[i]), float(video.frame_score[i]), float(place[i])) for i in at]
    return Example(
        pick, strip, side, shown, len(at), _line(place, video.frame_score), _shaded(video, place), first, last
    )


def _unscored(pick: Pick, shards: Shards) -> Example:
    """Show the faces of a video whose method judges no frames."""
    if pick.video.key not in shards:
        return Example(pick, "", 0, [], 0, "", [], 0, 0)
    track = shards.read(pick.video.key)
    faces = track.faces[_evenly(len(track.index))]
    strip, side = _jpeg(faces)
    return Example(pick, strip, side, [], len(faces), "", [], int(track.index[0]), int(track.index[-1]))


def _strip(video: VideoScores, shards: Shards) -> tuple[str, int, list[int]]:
    """Return the strip, the side of its faces, and which of the video's scores they belong to."""
    if video.key not in shards:
        return "", 0, []
    track = shards.read(video.key)
    seen = np.flatnonzero(np.isin(video.frame, track.index))
    if not len(seen):
        return "", 0, []
    at = seen[_evenly(len(seen))]
    strip, side = _jpeg(track.faces[np.searchsorted(track.index, video.frame[at])])
    return strip, side, at.tolist()


def _evenly(count: int) -> np.ndarray:
    """Choose up to `FACES` of so many places, evenly."""
    return np.unique(np.linspace(0, count - 1, FACES).round().astype(int))


def _jpeg(faces: np.ndarray) -> tuple[str, int]:
    """Put `(F, S, S, 3)` uint8 faces side by side; return a JPEG in base64 and the side of a face in it."""
    faces = _shrunk(faces, -(-faces.shape[1] // SIDE))
    buffer = io.BytesIO()
    imsave(buffer, np.concatenate(list(faces), axis=1), format="jpeg", pil_kwargs={"quality": QUALITY})
    return base64.b64encode(buffer.getvalue()).decode(), faces.shape[1]


def _shrunk(faces: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` by `factor` pixels of `(F, S, S, 3)` uint8 faces."""
    count, side = len(faces), faces.shape[1] // factor
    blocks = faces[:, : side * factor, : side * factor].reshape(count, side, factor, side, factor, 3)
    shrunk: np.ndarray = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return shrunk


def _line(place: np.ndarray, score: np.ndarray) -> str:
    at = np.arange(len(score))
    if len(score) > 2 * BUCKETS:
        parts = np.array_split(at, BUCKETS)
        at = np.unique([part[pick] for part in parts for pick in (score[part].argmin(), score[part].argmax())])
    return " ".join(f"{place[i]:.2f},{100 * (1 - score[i]):.1f}" for i in at)


def _shaded(video: VideoScores, place: np.ndarray) -> list[tuple[float, float]]:
    """Find the runs of fake frames; each reaches half way to its neighbours."""
    edges = np.concatenate([[0.0], (place[1:] + place[:-1]) / 2, [100.0]])
    turns = np.flatnonzero(np.diff(np.concatenate([[0], video.frame_label == labels.FAKE, [0]])))
    return [(float(edges[start]), float(edges[end] - edges[start])) for start, end in turns.reshape(-1, 2)]
