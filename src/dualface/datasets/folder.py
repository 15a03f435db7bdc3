"""Your own videos: a folder with `real` and `fake` inside, or a CSV that lists them.

In a folder, every video file at any depth under `real/` and `fake/` counts. A CSV has the columns `path` (relative to
the CSV's folder) and `label` (`real` or `fake`, or 0 and 1 with 1 = FAKE), and may have `identity` (who is seen;
several joined by `+`), `split` (`train`, `val`, `test`) and `frames` (the fake ones, half-open: `0:50 80:120`).

A key depends on the video's own path and nothing else, so it stays when files are added: `real/a.mp4` is `real-a`, a
CSV's `a.mp4` is `a`, and any other path (deeper, another suffix, other characters) gets a hash of it appended.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from dualface import label as labels
from dualface.datasets import disk
from dualface.datasets.inventory import Inventory, NoVideos
from dualface.errors import DualfaceError, ListingError
from dualface.manifest import OFFICIAL_SPLITS, Video, checked, parse_ranges

FOLDERS = {"real": labels.REAL, "fake": labels.FAKE}
COLUMNS = ("path", "label", "identity", "split", "frames")
WORDS = {"0": labels.REAL, "1": labels.FAKE}
CLEAN = re.compile(r"[A-Za-z0-9_-]{1,150}")


def inventory(source: Path) -> Inventory:
    """List the videos of a folder or of a CSV. What the full set would be nobody can say.

    Raises:
        NoVideos: the folder has no video under `real` or `fake`.
        ListingError: the CSV lists no video, or a line of it can't be right.
    """
    if source.is_file():
        return Inventory(source.parent, _of_csv(source))
    files = disk.video_files(source)
    listed = _of_folder(source, files)
    return Inventory(source, listed, unlisted=tuple(sorted(files.keys() - {video.path for video in listed})))


def key_of(path: str) -> str:
    """Make the key of a video from its path relative to the root, and from that alone."""
    parts = PurePosixPath(path)
    folders = parts.parts[:-1]
    # A file real-a.mp4 must not be taken for real/a.mp4.
    is_plain = folders in (("real",), ("fake",)) or (not folders and not parts.stem.startswith(("real-", "fake-")))
    if parts.suffix == ".mp4" and CLEAN.fullmatch(parts.stem) and is_plain:
        return "-".join([*folders, parts.stem])
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", "-".join([*folders[:1], parts.stem])).strip("_-")[:150]
    return f"{readable}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _of_folder(root: Path, files: dict[str, int]) -> list[Video]:
    found = [
        _video(path, count, FOLDERS[top])
        for path, count in files.items()
        if (top := PurePosixPath(path).parts[0]) in FOLDERS and top != path
    ]
    if not found:
        raise NoVideos(
            f"{root}: no videos; looked for files under {root / 'real'} and {root / 'fake'} that end in "
            f"{' '.join(disk.SUFFIXES)}; other layouts: list them in a CSV with the columns path,label"
        )
    return checked(found, where=str(root))


def _of_csv(path: Path) -> list[Video]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(reader.fieldnames or (), where=str(path))
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListingError(f"{path}: not a readable CSV file ({error}); expected columns path,label") from None
    if not rows:
        raise ListingError(f"{path}: lists no videos")
    lines: dict[str, int] = {}
    found, absent = [], []
    for number, row in rows:
        name, video = _row(row, path.parent, where=f"{path}:{number}")
        if name in lines:
            raise ListingError(f"{path}:{number}: {name} appears twice (first in line {lines[name]})")
        lines[name] = number
        if video is None:
            absent.append(f"{name} (line {number})")
        else:
            found.append(video)
    if absent:
        raise ListingError(
            f"{path}: {len(absent)} of its {len(rows)} paths are no files under {path.parent}: {disk.few(absent)}"
        )
    return checked(found, where=str(path))


def _check_columns(columns: Sequence[str], *, where: str) -> None:
    missing = [name for name in COLUMNS[:2] if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    twice = [name for name in columns if list(columns).count(name) > 1]
    if missing or unknown or twice:
        kind, names = ("missing", missing) if missing else ("unknown", unknown) if unknown else ("there twice", twice)
        raise ListingError(
            f"{where}: column {names[0][:80]!r} is {kind}; the first line names the columns, path and label, and where "
            "known identity, split and frames, with commas between"
        )


def _row(row: dict[str, str | None], root: Path, *, where: str) -> tuple[str, Video | None]:
    """Read one row: the path, and the video or None where the file is not there."""
    if None in row or None in row.values():
        raise ListingError(f"{where}: has more or fewer cells than the first line")
    cell = {name: (text or "").strip() for name, text in row.items()}
    name = PurePosixPath(cell["path"]).as_posix()
    split = cell.get("split") or None
    try:
        label = WORDS[cell["label"]] if cell["label"] in WORDS else labels.parse(cell["label"])
        ranges = parse_ranges(cell["frames"]) if cell.get("frames") else None
        count = _bytes(name, root)
    except DualfaceError as error:
        raise ListingError(f"{where}: {error}") from None
    if split not in (None, *OFFICIAL_SPLITS):
        raise ListingError(f"{where}: split {split!r} is not one of {', '.join(OFFICIAL_SPLITS)}")
    if count is None:
        return name, None
    identities = tuple(person for person in cell.get("identity", "").split("+") if person)
    return name, _video(name, count, label, identities=identities, split=split, ranges=ranges)


def _bytes(name: str, root: Path) -> int | None:
    """Return the size of a file inside `root`; None where there is none. Raises ListingError for a path outside."""
    pure = PurePosixPath(name)
    if name == "." or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise ListingError(f"path {name!r} must be relative to the CSV's folder and stay inside it")
    path = root / name
    if not path.is_file():
        return None
    if not path.resolve().is_relative_to(root.resolve()):
        raise ListingError(f"path {name!r} is a link that leads out of {root}, which is not followed")
    return path.stat().st_size


def _video(
    path: str,
    count: int,
    label: int,
    *,
    identities: tuple[str, ...] = (),
    split: str | None = None,
    ranges: tuple[tuple[int, int], ...] | None = None,
) -> Video:
    key = key_of(path)
    return Video(key, "folder", path, count, label, identities or (key,), split=split, fake_ranges=ranges)
