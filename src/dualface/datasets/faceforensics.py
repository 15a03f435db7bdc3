"""What FaceForensics++ and DFD have in common: they come in one download, side by side, each at three qualities."""

from collections import Counter
from pathlib import Path, PurePosixPath

from dualface.datasets import disk
from dualface.errors import ListingError
from dualface.manifest import Video

QUALITIES = ("raw", "c23", "c40")
QUALITY = rf"(?P<quality>{'|'.join(QUALITIES)})"  # as a folder's name, in the pattern of a path
MASKS = "masks"  # the folder beside the qualities that holds videos of where the fakes were changed


def chosen(
    found: list[Video], *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = (), root: Path
) -> list[Video]:
    """Take the videos of the qualities and methods asked for; none named = all. Originals have no method: all stay.

    Raises:
        ListingError: there is no video of a quality or method that was asked for.
    """
    taken = [
        video
        for video in found
        if (not qualities or video.quality in qualities)
        and (not methods or video.method is None or video.method in methods)
    ]
    there = {name for video in taken for name in (video.quality, video.method)}
    if missing := [name for name in (*qualities, *methods) if name not in there]:
        kinds = Counter(f"{video.method or 'original'} {video.quality}" for video in found)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise ListingError(f"{root}: no video for {', '.join(missing)}, which was asked for; there are: {counts}")
    return taken


def present(videos: list[Video]) -> tuple[str, ...]:
    """Name the qualities that there are, best first."""
    there = {video.quality for video in videos}
    return tuple(quality for quality in QUALITIES if quality in there)


def names(videos: list[Video], *, method: str | None, quality: str) -> list[str]:
    """Name the files of one method, None for originals, at one quality."""
    return [PurePosixPath(one.path).name for one in videos if one.method == method and one.quality == quality]


def joined(words: tuple[str, ...]) -> str:
    """Join words for a sentence: `raw, c23 and c40`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def choice_notes(found: list[Video], taken: list[Video]) -> list[str]:
    """Say what was not asked for, and where clips are listed at several qualities."""
    notes = []
    if left := len(found) - len(taken):
        notes.append(f"not asked for: {disk.counted(left, 'more video')} of the set")
    if len(there := present(taken)) > 1:
        lossy = next(quality for quality in there if quality != "raw")
        notes.append(
            f"listed at {joined(there)}, which are copies of the same clips where all are here; --quality {lossy} "
            "takes one of them"
        )
    return notes


def sorted_out(rest: set[str], *, other: str, command: str, folders: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Tell masks and the other set of the download from files that do not belong here.

    Args:
        rest: paths of the video files that are not of the set, relative to the root.
        other: name of the other set.
        command: its name for `dualface scan`.
        folders: what the paths of its files start with.

    Returns:
        Notes on masks and on the other set, and the paths that are neither.
    """
    masks = {path for path in rest if MASKS in PurePosixPath(path).parts}
    others = {path for path in rest if path.startswith(folders)} - masks
    notes = []
    if masks:
        notes.append(f"not listed: {disk.counted(len(masks), 'video')} under {MASKS}/ (where fakes were changed)")
    if others:
        notes.append(
            f"not listed: {disk.counted(len(others), 'video')} of {other}; for those, `dualface scan {command} ROOT`"
        )
    return notes, sorted(rest - masks - others)
