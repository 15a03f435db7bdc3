"""The manifest: one row per video, whatever data set it comes from.

Every data set is first turned into these rows (as a listing, a CSV that people read and git diffs);
later stages never look at folder names again. The listing and the manifest hold the same rows:
`data/sources/NAME.csv` is the first, `data/manifest.parquet` the second.
"""

import csv
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from dualface import key as keys
from dualface import label as labels
from dualface import tables
from dualface.errors import DualfaceError, ListingError

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("label", pa.uint8(), nullable=False),
        pa.field("identities", pa.list_(pa.string()), nullable=False),
        pa.field("source_key", pa.string()),
        pa.field("method", pa.string()),
        pa.field("quality", pa.string()),
        pa.field("split", pa.string()),
        pa.field("fake_ranges", pa.list_(pa.list_(pa.int32()))),
    ]
)
OFFICIAL_SPLITS = ("train", "val", "test")
JOINER = "+"  # between the identities of a fake, in a listing's cell
RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


@dataclass(frozen=True)
class Video:
    """One video.

    Attributes:
        key: unique name of letters, digits, `_` and `-`, without dots.
        dataset: the adapter that listed it (`celebdf`, `ffpp`, `dfd`, `dfdc`, `folder`).
        path: POSIX path; one that starts with `./` is relative to the repository, any other to the data root.
        bytes: size of the file.
        label: 1 = FAKE, 0 = REAL.
        identities: who is seen in it; a fake has two, the person filmed first, then the person put on.
        source_key: the key of the real video that a fake was made from, where known.
        method: how a fake was made, where known.
        quality: compression level as the data set names it, where it has several.
        split: the official split, `train`, `val` or `test`; None where there is none.
        fake_ranges: half-open ranges of frame numbers that are fake; None where only the video's label is known.
    """

    key: str
    dataset: str
    path: str
    bytes: int
    label: int
    identities: tuple[str, ...]
    source_key: str | None = None
    method: str | None = None
    quality: str | None = None
    split: str | None = None
    fake_ranges: tuple[tuple[int, int], ...] | None = None


def write(path: Path, videos: list[Video]) -> None:
    """Write the manifest, sorted by key, as parquet."""
    videos = checked(videos, where=str(path))
    tables.write(path, tables.table_of(videos, SCHEMA), SCHEMA)


def read(path: Path) -> list[Video]:
    """Read a manifest; rows come sorted by key."""
    return checked([of_row(row) for row in tables.read(path, SCHEMA, made_by="ingest").to_pylist()], where=str(path))


def of_row(row: dict[str, Any]) -> Video:
    """Make a video of its fields with lists for tuples, as parquet and JSON hold them."""
    ranges = row["fake_ranges"]
    ranges = None if ranges is None else tuple((start, end) for start, end in ranges)
    return Video(**{**row, "identities": tuple(row["identities"]), "fake_ranges": ranges})


def write_listing(path: Path, videos: list[Video]) -> None:
    """Write the same rows as a CSV for people and for git: words for labels, empty cells for unknown."""
    with tables.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Video)])
        for video in checked(videos, where=str(path)):
            writer.writerow(_cells(video))


def read_listing(path: Path) -> list[Video]:
    """Read a listing.

    Raises:
        ListingError: it is missing, empty, lacks a column, or a row breaks the contract; with the line's number.
    """
    try:
        # Spreadsheets put a byte order mark first; utf-8-sig takes it off.
        if path.exists() and not path.is_file():
            raise ListingError(f"{path}: not a file; a listing is a CSV that `dualface scan DATASET ROOT` writes")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [field.name for field in fields(Video) if field.name not in (reader.fieldnames or [])]
            if missing:
                raise ListingError(f"{path}: column {missing[0]!r} is missing; `dualface scan` writes listings")
            videos = [_parsed(row, where=f"{path}:{reader.line_num}") for row in reader]
    except FileNotFoundError:
        raise ListingError(f"{path}: no such listing; make one with `dualface scan DATASET ROOT`") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListingError(f"{path}: not a readable CSV file ({error})") from None
    if not videos:
        raise ListingError(f"{path}: lists no videos; scan again with `dualface scan DATASET ROOT`")
    return checked(videos, where=str(path))


def checked(videos: list[Video], *, where: str) -> list[Video]:
    """Return the rows sorted by key, or raise ListingError naming the first that breaks the contract."""
    seen, paths = set[str](), set[str]()
    for video in videos:
        if problem := _problem(video):
            raise ListingError(f"{where}: video {video.key!r}: {problem}")
        if video.key in seen:
            raise ListingError(f"{where}: key {video.key!r} appears twice; keys are unique")
        if video.path in paths:
            raise ListingError(f"{where}: path {video.path!r} appears twice; a file is one video")
        seen.add(video.key)
        paths.add(video.path)
    return sorted(videos, key=lambda video: video.key)


def locate(video: Video, data_root: Path | None) -> Path:
    """Say where the video's file lies on this machine.

    Args:
        video: a row of the manifest.
        data_root: what `DUALFACE_DATA` names; None where it is not set.

    Raises:
        ListingError: the path is under the data root and none is set, or a link leads out of that root.
    """
    root = Path() if video.path.startswith("./") else data_root
    if root is None:
        raise ListingError(
            f"{video.path} lies under the data root, and none is set: export DUALFACE_DATA=the folder that was scanned"
        )
    path = root / video.path
    # Not Path.resolve: up to Python 3.12 it raises RuntimeError on a ring of links.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise ListingError(f"{path}: leads out of {root}; links to other places are not followed")
    return path


def frame_labels(video: Video, index: np.ndarray) -> np.ndarray:
    """Label each frame of a video.

    Args:
        video: a row of the manifest.
        index: `(N,)` integers, source frame numbers.

    Returns:
        `(N,)` uint8, 1 = FAKE. The video's own label where its fake ranges are not known.
    """
    if video.fake_ranges is None:
        return np.full(len(index), video.label, dtype=np.uint8)
    fake = np.zeros(len(index), dtype=np.uint8)
    for start, end in video.fake_ranges:
        fake |= (index >= start) & (index < end)
    return fake


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Read ranges of frames from a cell: `0:50 80:120`, or `none`. Raises ListingError."""
    pairs = [RANGE.fullmatch(part) for part in text.split() if text != "none"]
    if not all(pairs):
        raise ListingError(f"ranges {text[:80]!r}: expected FIRST:END pairs with blanks between, or none")
    return tuple((int(pair[1]), int(pair[2])) for pair in pairs if pair)


def _problem(video: Video) -> str | None:
    path, ranges = PurePosixPath(video.path), video.fake_ranges
    stays = path.parts and not path.is_absolute() and ".." not in path.parts and "\\" not in video.path
    texts = (video.dataset, video.path, *video.identities, video.source_key, video.method, video.quality)
    odd = next((text for text in texts if text is not None and not _is_plain(text)), None)
    rules = [
        (keys.is_valid(video.key), keys.RULE),
        (stays, f"path {video.path!r} must be relative and stay inside its root, without '..' or backslashes"),
        (odd is None, f"{odd!r} is empty, not UTF-8, or has control characters, or blanks at an end"),
        (video.label in labels.NAMES, f"label {video.label} is neither 0 (REAL) nor 1 (FAKE)"),
        (0 <= video.bytes < 10**18, f"bytes {video.bytes} is no file size"),
        (video.identities, "it has no identity"),
        (JOINER not in "".join(video.identities), f"identities {video.identities}: {JOINER!r} is what joins them"),
        (video.split in (None, *OFFICIAL_SPLITS), f"split {video.split!r} is not one of {', '.join(OFFICIAL_SPLITS)}"),
        (ranges is None or bool(ranges) == (video.label == labels.FAKE), "fake_ranges: a fake has some, a real none"),
        (all(0 <= start < end < 2**31 for start, end in ranges or ()), f"fake_ranges {ranges} are not FIRST to END"),
    ]
    return next((text for kept, text in rules if not kept), None)


def _is_plain(text: str) -> bool:
    """Say whether a text comes back from a listing's cell as it went in."""
    return bool(text) and text == text.strip() and not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text)


def _cells(video: Video) -> list[str]:
    ranges = video.fake_ranges
    special = {
        "label": labels.NAMES[video.label],
        "identities": JOINER.join(video.identities),
        "fake_ranges": None if ranges is None else " ".join(f"{start}:{end}" for start, end in ranges) or "none",
    }
    values = (special.get(field.name, getattr(video, field.name)) for field in fields(Video))
    return ["" if value is None else str(value) for value in values]


def _parsed(row: dict[str, str | None], *, where: str) -> Video:
    if None in row or None in row.values():
        raise ListingError(f"{where}: has more or fewer cells than the header")
    cell = {name: (text or "").strip() or None for name, text in row.items()}
    try:
        return Video(
            key=cell["key"] or "",
            dataset=cell["dataset"] or "",
            path=cell["path"] or "",
            bytes=_bytes(cell["bytes"] or ""),
            label=labels.parse(cell["label"] or ""),
            identities=tuple((cell["identities"] or "").split(JOINER)),
            source_key=cell["source_key"],
            method=cell["method"],
            quality=cell["quality"],
            split=cell["split"],
            fake_ranges=parse_ranges(cell["fake_ranges"]) if cell["fake_ranges"] else None,
        )
    except DualfaceError as error:
        raise ListingError(f"{where}: {error}") from None


def _bytes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ListingError(f"bytes {text[:40]!r} is not a whole number from 0")
    return int(text)
