"""The scores: P(fake) of each frame and each video of a split, as they leave the detector."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dualface import tables
from dualface.errors import TableError

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("frame", pa.int32()),
        pa.field("label", pa.uint8(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class VideoScores:
    """The scores of one video.

    Attributes:
        key: the video's key.
        label: 1 = FAKE.
        score: P(fake) of the video, in [0, 1]; of a method that judges no videos, the mean of its frames'.
        frame: `(N,)` int32, source frame numbers, ascending; none of a method that judges no frames.
        frame_label: `(N,)` uint8, 1 = FAKE.
        frame_score: `(N,)` float32 in [0, 1], P(fake) of each frame.
    """

    key: str
    label: int
    score: float
    frame: np.ndarray
    frame_label: np.ndarray
    frame_score: np.ndarray


def of_level(videos: list[VideoScores], level: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores and labels of one level.

    Args:
        videos: the scores of whole videos.
        level: `video`; `video_max`, the highest score of each video's frames; or `frame`.

    Returns:
        `(N,)` floats and `(N,)` integers, 1 = FAKE; videos in their order.
    """
    label = np.array([video.label for video in videos])
    match level:
        case "video":
            return np.array([video.score for video in videos]), label
        case "video_max":
            return np.array([video.frame_score.max() for video in videos]), label
        case _:
            frame_score = np.concatenate([video.frame_score for video in videos])
            return frame_score, np.concatenate([video.frame_label for video in videos])


def write(path: Path, videos: Iterable[VideoScores]) -> int:
    """Write scores as they come, one video in memory at a time; return how many videos were written."""
    written = 0
    with tables.replacing(path) as partial, pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
        for video in videos:
            writer.write_table(_rows(video))
            written += 1
    return written


def read(path: Path) -> list[VideoScores]:
    """Read all scores, videos in the order in which they were written.

    Raises:
        TableError: the file breaks the contract: a score out of [0, 1], a video without exactly one video-level row.
    """
    table = tables.read(path, SCHEMA, made_by="score")
    score = table["score"].to_numpy()
    label, keys = table["label"].to_numpy(), table["key"].to_pylist()
    level = table["frame"].is_null().to_numpy()
    frame = table["frame"].fill_null(-1).to_numpy()
    if len(keys) and not level[0]:
        raise TableError(f"{path}: frames without a score of their video; run `dvc repro score`")
    starts = np.flatnonzero(level)  # each video's own row comes first, then its frames
    ends = [*starts[1:], len(keys)][: len(starts)]
    videos = []
    for start, end in zip(starts, ends, strict=True):
        rows = slice(start + 1, end)
        if any(key != keys[start] for key in keys[rows]):
            raise TableError(f"{path}: rows of video {keys[start]!r} are not together; run `dvc repro score`")
        videos.append(
            VideoScores(keys[start], int(label[start]), float(score[start]), frame[rows], label[rows], score[rows])
        )
        _check(videos[-1], where=str(path))
    if len({video.key for video in videos}) != len(videos):
        raise TableError(f"{path}: a video has two scores of its own; run `dvc repro score`")
    return videos


def _check(video: VideoScores, *, where: str) -> None:
    """Raise TableError unless the scores are probabilities and the frames ascend, and no frame of a REAL is FAKE."""
    score = np.append(video.frame_score, video.score)
    if not np.all((score >= 0) & (score <= 1)):
        raise TableError(f"{where}: scores of {video.key!r} are not probabilities; train again")
    if np.any(np.diff(video.frame) <= 0) or (not video.label and np.any(video.frame_label)):
        raise TableError(
            f"{where}: frames of {video.key!r} do not ascend, or a REAL video has a FAKE frame; run `dvc repro score`"
        )


def _rows(video: VideoScores) -> pa.Table:
    _check(video, where="scores")
    count = len(video.frame) + 1
    columns = {
        "key": pa.array([video.key] * count, pa.string()),
        "frame": pa.array([None, *video.frame.tolist()], pa.int32()),
        "label": pa.array(np.concatenate([[video.label], video.frame_label]).astype(np.uint8)),
        "score": pa.array(np.concatenate([[video.score], video.frame_score]).astype(np.float32)),
    }
    table = pa.table(columns, schema=SCHEMA)
    tables.check(table, SCHEMA, where=f"scores of {video.key}")
    return table
