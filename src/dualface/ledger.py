"""The ledger: one row per video that face extraction attempted, so that nothing is lost unseen."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dualface import tables
from dualface.errors import TableError

WITH_FACES = ("ok", "damaged")  # these have a sample in the shards
OUTCOMES = (
    *WITH_FACES,
    "no_fake_frame",
    "too_few_faces",
    "no_face",
    "unreadable",
    "refused",
    "timeout",
    "crashed",
)
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("faces", pa.int32(), nullable=False),
        pa.field("box_width", pa.int32(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Attempt:
    """What came of one video.

    Attributes:
        key: the video's key.
        outcome: `ok`: its faces are in the shards. `damaged`: they are, but part of the video did not decode.
            No other has a sample there. `no_fake_frame`: a fake of which no kept frame is fake: it would teach
            that it is real. `too_few_faces`, `no_face`, `unreadable`: as they say. `refused`: it asks for more than
            the limits allow. `timeout`: it was not done within the limit. `crashed`: the process that worked on it
            died, twice, or the program failed at it.
        reason: what went wrong, in words; empty for `ok`.
        frames: frames that were decoded (not what the container claims).
        faces: faces of the main person that were kept.
        box_width: median width of their boxes in pixels; 0 where there are none.
        seconds: of video up to the last frame that was read, by its time stamps; 0 where it has none. What it took to
            extract is not a fact about the video, and goes to the log.
    """

    key: str
    outcome: str
    reason: str
    frames: int = 0
    faces: int = 0
    box_width: int = 0
    seconds: float = 0.0


def write(path: Path, attempts: list[Attempt]) -> None:
    """Write the ledger, sorted by key."""
    attempts = sorted(attempts, key=lambda attempt: attempt.key)
    _check(attempts, where=str(path))
    tables.write(path, tables.table_of(attempts, SCHEMA), SCHEMA)


def read(path: Path) -> list[Attempt]:
    """Read the ledger, sorted by key."""
    attempts = [Attempt(**row) for row in tables.read(path, SCHEMA, made_by="faces").to_pylist()]
    _check(attempts, where=str(path))
    return attempts


def counts(attempts: list[Attempt]) -> dict[str, int]:
    """Count the outcomes: every outcome by name (0 where none), and videos, frames and faces in all."""
    by_outcome = Counter(attempt.outcome for attempt in attempts)
    return {
        "videos": len(attempts),
        **{outcome: by_outcome[outcome] for outcome in OUTCOMES},
        "frames": sum(attempt.frames for attempt in attempts),
        "faces": sum(attempt.faces for attempt in attempts),
    }


def _check(attempts: list[Attempt], *, where: str) -> None:
    if twice := [key for key, count in Counter(attempt.key for attempt in attempts).items() if count > 1]:
        raise TableError(f"{where}: {twice[0]!r} appears twice; a video is attempted once")
    for attempt in attempts:
        if attempt.outcome not in OUTCOMES:
            raise TableError(f"{where}: outcome {attempt.outcome!r} is not one of {', '.join(OUTCOMES)}")
        if (attempt.outcome == "ok") == bool(attempt.reason):
            raise TableError(f"{where}: {attempt.key}: an outcome other than ok has a reason, and ok has none")


def told(attempts: list[Attempt], *, paths: dict[str, str], everything: bool) -> str:
    """Say what came of the videos, in lines for a terminal.

    Args:
        attempts: rows of the ledger.
        paths: of the videos, by key; one that is not there is named by its key.
        everything: whether videos that are ok have a line, too.
    """
    number = counts(attempts)
    came = ", ".join(f"{number[outcome]:,} {outcome}" for outcome in OUTCOMES if number[outcome])
    lines = [f"{len(attempts):,} videos, {number['frames']:,} frames, {number['faces']:,} faces: {came}"]
    shown = [one for one in attempts if everything or one.outcome != "ok"]
    if shown:
        name = {one.key: paths.get(one.key, one.key) for one in shown}
        width = max(len("video"), *map(len, name.values()))
        form = f"{{:{width}}}  {{:13}}  {{:>7}}  {{:>6}}  {{:>6}}  {{:>7}}  {{}}"
        lines += ["", form.format("video", "outcome", "frames", "faces", "box px", "seconds", "reason")]
        for one in shown:
            numbers = (f"{one.frames:,}", f"{one.faces:,}", one.box_width, f"{one.seconds:.1f}")
            lines.append(form.format(name[one.key], one.outcome, *numbers, one.reason).rstrip())
    return "\n".join([*lines, ""])


def check(attempt: Attempt, *, key: str) -> None:
    """Check a row that comes from outside: a process that a video had a hand in, or a file.

    Raises:
        TableError: it is not of this video, or its values are not of their types.
    """
    numbers = (attempt.frames, attempt.faces, attempt.box_width)
    plain = isinstance(attempt.reason, str) and all(type(one) is int and 0 <= one < 2**31 for one in numbers)
    if attempt.key != key or not plain or not isinstance(attempt.seconds, int | float):
        raise TableError(f"{key}: this is not a row of it: {str(attempt)[:200]}")
    if not math.isfinite(attempt.seconds) or (attempt.outcome in WITH_FACES) != bool(attempt.faces):
        raise TableError(f"{key}: {attempt.outcome} with {attempt.faces} faces, {attempt.seconds} s")
    _check([attempt], where=key)
