"""What lies on disk: the video files of a folder, by one stated rule for all data sets."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from dualface.errors import ListingError

SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ts",
    ".mts",
    ".m2ts",
    ".m2v",
    ".3gp",
    ".vob",
)


def is_video(name: str) -> bool:
    """Say whether a file's name ends, in any case, like one of `SUFFIXES`."""
    return Path(name).suffix.lower() in SUFFIXES


def video_files(root: Path) -> dict[str, int]:
    """Find the video files under a folder, as `files` finds files."""
    return files(root, wanted=is_video)


def files(root: Path, *, wanted: Callable[[str], bool]) -> dict[str, int]:
    """Find files under a folder.

    The rule: regular files whose name is wanted. Names that start with a dot are left out, files and folders alike
    (`._x.mp4` is what macOS adds beside x.mp4). Links to folders inside the root are not followed, since what they
    lead to is found under its own name.

    Args:
        root: the folder.
        wanted: says of a file's name whether it counts.

    Returns:
        Size in bytes by POSIX path relative to `root`, sorted by path.

    Raises:
        ListingError: `root` is no folder, a link leads out of it or nowhere, or a name is not UTF-8.
    """
    if not root.is_dir():
        raise ListingError(f"{root}: {'is a file, not a folder' if root.exists() else 'no such folder'}")
    found = {}
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        kept = [name for name in names if not name.startswith(".") and wanted(name)]
        for name in [*folders, *kept]:
            _check(Path(folder, name), root)
        for path in (Path(folder, name) for name in kept):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(root).as_posix()] = status.st_size
    return dict(sorted(found.items()))


def few(names: Iterable[str], *, limit: int = 3) -> str:
    """Join the first names for a message: `a, b, c, ...`."""
    names = list(names)
    return ", ".join([*names[:limit], *(["..."] if len(names) > limit else [])])


def counted(number: int, noun: str, many: str | None = None) -> str:
    """Count in words: `1 video`, `1,200 videos`; `many` where the plural takes more than an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def _check(path: Path, root: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ListingError(f"{str(path)!r}: this name is not valid UTF-8; rename it") from None
    if not path.is_symlink():
        return
    if not path.exists():
        raise ListingError(f"{path}: a link to {path.readlink()}, which is not there; fix or remove it")
    if not path.resolve().is_relative_to(root.resolve()):
        raise ListingError(
            f"{path}: a link that leads out of {root} (to {path.resolve()}), which is not followed; "
            "scan the folder where the files are"
        )


def _raise(error: OSError) -> None:
    raise error
