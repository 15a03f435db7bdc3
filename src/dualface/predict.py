"""Scoring: a detector and the faces of videos in, P(fake) of each frame and video out."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch
from torch import nn

from dualface.batches import stack, valid
from dualface.device import Device
from dualface.errors import CheckpointError
from dualface.scores import VideoScores
from dualface.shards.sample import FaceTrack
from dualface.windows import windows

FACES_AT_ONCE = 1024
PADDING = 8  # places of a forward pass, padding included, for each face that it may have


@dataclass
class _Video:
    """A video on its way: its windows, and what is known of its scores."""

    track: FaceTrack
    label: int
    blocks: list[list[np.ndarray]]
    scores: list[float] = field(default_factory=list)  # of windows, in their order; none where videos are not judged
    added: int = 0  # windows
    total: np.ndarray = field(init=False)
    times: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.total, self.times = np.zeros(len(self.track.index)), np.zeros(len(self.track.index))

    @property
    def complete(self) -> bool:
        return self.added == sum(map(len, self.blocks))

    def add(self, window: np.ndarray, *, video: float | None, frame: np.ndarray | None) -> None:
        given = np.append([] if frame is None else frame, [] if video is None else video)
        if not np.isfinite(given).all():
            raise CheckpointError(
                f"the detector gives video {self.track.key!r} scores that are no numbers: its weights are broken; "
                "train again, with a lower train.learning_rate"
            )
        self.added += 1
        if video is not None:
            self.scores.append(video)
        if frame is not None:
            self.total[window] += frame
            self.times[window] += 1

    def told(self) -> VideoScores:
        track, judged = self.track, self.times > 0  # all frames, or none
        frame_score = (self.total[judged] / self.times[judged]).astype(np.float32)
        scores = iter(self.scores)
        if self.scores:
            score = max(float(np.mean([next(scores) for _ in block])) for block in self.blocks)
        else:
            score = float(frame_score.astype(np.float64).mean())
        score = float(np.float32(score))
        return VideoScores(track.key, self.label, score, track.index[judged], track.labels[judged], frame_score)


def score_videos(
    model: nn.Module,
    tracks: Iterable[tuple[FaceTrack, int]],
    *,
    frames: int,
    stride: int,
    overlap: float,
    device: Device,
    faces_at_once: int = FACES_AT_ONCE,
) -> Iterator[VideoScores]:
    """Score videos, several short ones in one forward pass; memory does not grow with their number.

    All faces of a video are scored, in windows like those of training (`dualface.batches.windows`), but for the
    overlap. A frame's score is the mean over the windows that hold it; the video's is the mean over a block's
    windows, and where a video takes several blocks, the highest: it is as suspicious as its most suspicious part.
    A method that judges frames alone gives a video the mean of their scores; one that judges videos alone, no frames.

    Args:
        model: the network, as `dualface.models.dual.DualNet`; it is put into evaluation mode.
        tracks: faces of a video with its label, 1 = FAKE.
        frames: faces in a window, as in training.
        stride: their distance, as in training.
        overlap: share of a block of a long video that the next one holds too, in [0, 0.9].
        device: where it runs.
        faces_at_once: most faces in a forward pass; it takes one window at least. Videos are taken from `tracks`
            until a pass is full, no further.

    Yields:
        Scores of each video, in the order of `tracks`.

    Raises:
        CheckpointError: a score is no number.
    """
    model.eval()
    waiting: deque[_Video] = deque()

    def begun() -> Iterator[_Video]:
        for track, label in tracks:
            blocks = windows(len(track.index), frames=frames, stride=stride, overlap=overlap)
            waiting.append(_Video(track, label, blocks))
            yield waiting[-1]

    for group in _groups(begun(), faces=faces_at_once, count=max(1, PADDING * faces_at_once // frames)):
        _score(model, group, frames=frames, device=device)
        while waiting and waiting[0].complete:
            yield waiting.popleft().told()


def _groups(videos: Iterable[_Video], *, faces: int, count: int) -> Iterator[list[tuple[_Video, np.ndarray]]]:
    """Put windows together, up to so many faces and so many windows; no video is asked for before it is needed."""
    group: list[tuple[_Video, np.ndarray]] = []
    filled = 0
    for video in videos:
        for window in chain.from_iterable(video.blocks):
            if group and (filled + len(window) > faces or len(group) == count):
                yield group
                group, filled = [], 0
            group.append((video, window))
            filled += len(window)
        if filled >= faces or len(group) == count:
            yield group
            group, filled = [], 0
    if group:
        yield group


def _score(model: nn.Module, group: list[tuple[_Video, np.ndarray]], *, frames: int, device: Device) -> None:
    """Score windows in one forward pass, and give each video what is its own."""
    parts = [video.track.faces[window] for video, window in group]
    faces = stack(parts, keys=[video.track.key for video, _ in group])
    lengths = torch.tensor([len(window) for _, window in group])
    with torch.inference_mode(), device.autocast():
        logits = model(faces.to(device.torch), lengths, frames=frames)
    videos = [None] * len(group) if logits.video is None else torch.sigmoid(logits.video.double()).tolist()
    frame_parts: list[np.ndarray | None] = [None] * len(group)
    if logits.frame is not None:
        frame_scores = torch.sigmoid(logits.frame.double()).cpu()[valid(lengths, frames=frames)].numpy()
        frame_parts = list(np.split(frame_scores, lengths.cumsum(0)[:-1].numpy()))
    for (video, window), score, part in zip(group, videos, frame_parts, strict=True):
        video.add(window, video=score, frame=part)
