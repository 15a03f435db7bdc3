"""A piece: all that came of one video, in one file of the work folder, until it goes into the shards.

A zip file without compression: `attempt.json` (the row of the ledger), and the members of each sample as they will
stand in a shard, `KEY.faces.zst` and so on. Zip's checksums tell a piece that was cut short by a power failure.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from dualface import ledger, manifest
from dualface.errors import ShardError, TableError
from dualface.faces.extract import Extract, Person
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.shards import sample

ATTEMPT = "attempt.json"
# What reading a damaged zip file can raise, by flipping its bytes.
BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError)


def write(path: Path, video: Video, found: Extract) -> Attempt:
    """Write what was extracted from a video; returns its row of the ledger.

    The main person's sample has the video's key; the second one's is `KEY-person2`, and so on. All bear the
    video's labels: who of several people in a fake is the fake one, no data set says.
    """
    labels = [manifest.frame_labels(video, person.index) for person in found.people]
    row = _row(video, found, labels)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(ATTEMPT, json.dumps(asdict(row)))
        for number, person in enumerate(found.people if row.faces else (), start=1):
            arrays = {"index": person.index, "boxes": person.boxes, "labels": labels[number - 1]}
            meta = {**found.meta, **({"person": number} if number > 1 else {})}
            into = partial(_member, file, person_key(video.key, number))
            sample.encode_to(into, faces=person.faces, arrays=arrays, meta=meta)
    return row


def read_row(path: Path, key: str) -> Attempt | None:
    """Read the row of a video; None where there is no piece, or one that was not written to its end."""
    try:
        with zipfile.ZipFile(path) as file:
            row = Attempt(**json.loads(file.read(ATTEMPT)))
            members = {f"{key}.{name}" for name in sample.MEMBERS} if row.faces else set()
            ledger.check(row, key=key)
            return row if members <= set(file.namelist()) else None
    except (OSError, TypeError, KeyError, TableError, *BROKEN):
        return None  # it is made again


def read_samples(path: Path) -> list[tuple[str, dict[str, bytes]]]:
    """Read the samples: key and members of each person, the main one first.

    Raises:
        ShardError: the file is not what was written; it is removed, to be made again.
    """
    samples: dict[str, dict[str, bytes]] = {}
    try:
        with zipfile.ZipFile(path) as file:
            for name in (name for name in file.namelist() if name != ATTEMPT):
                key, _, member = name.partition(".")
                samples.setdefault(key, {})[member] = file.read(name)
    except BROKEN as error:
        path.unlink()
        raise ShardError(f"{path}: damaged on disk ({error}) and removed") from None
    return list(samples.items())


def is_sound(path: Path) -> bool:
    """Say whether a piece can be read; one that can't be is removed."""
    try:
        read_samples(path)
    except ShardError:
        return False
    return True


def person_key(key: str, number: int) -> str:
    """Return the key of a video's person by number: 1 is the main one, who has the video's own."""
    return key if number == 1 else f"{key}-person{number}"


@contextmanager
def _member(file: zipfile.ZipFile, key: str, name: str) -> Iterator[IO[bytes]]:
    with file.open(f"{key}.{name}", "w", force_zip64=True) as member:
        yield member


def _row(video: Video, found: Extract, labels: list[np.ndarray]) -> Attempt:
    if not found.people:
        return Attempt(video.key, found.outcome, found.reason, frames=found.frames, seconds=found.seconds)
    main: Person = found.people[0]
    faces = len(main.index)
    if video.label and not labels[0].any():
        ranges = " ".join(f"{start}:{end}" for start, end in video.fake_ranges or ())
        hint = found.reason or "raise faces.max_frames?"
        reason = f"none of its {faces} faces is in its fake frames {ranges}; {hint}"
        return Attempt(video.key, "no_fake_frame", reason, frames=found.frames, seconds=found.seconds)
    width = round(float(np.median(main.boxes[:, 2] - main.boxes[:, 0])))
    return Attempt(video.key, found.outcome, found.reason, found.frames, faces, width, found.seconds)
