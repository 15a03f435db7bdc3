"""The parts of DFDC on disk: folders of clips, each with the list that labels them."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from dualface.datasets import dfdc_list
from dualface.datasets.dfdc_list import Entry
from dualface.errors import ListingError

SAMPLE = "train_sample_videos"
PART = re.compile(r"dfdc_train_part_(?P<number>[0-9]{1,2})")


@dataclass(frozen=True)
class Part:
    """A folder of clips and its list.

    Attributes:
        name: of the part as published, `dfdc_train_part_0`; empty for a folder that was renamed.
        folder: POSIX path relative to the root; `.` for the root itself.
        files: size in bytes by name of the video files that lie in it.
        entries: what its list says, by file name; None where it has no list.
    """

    name: str
    folder: str
    files: dict[str, int]
    entries: dict[str, Entry] | None

    @property
    def listed(self) -> dict[str, Entry]:
        """The entries; none where there is no list."""
        return self.entries or {}

    @cached_property
    def labels(self) -> dict[str, int]:
        """The labels that it gives, by file name."""
        return {name: entry.label for name, entry in self.listed.items() if entry.label is not None}

    @property
    def number(self) -> int | None:
        """Number of the part; None where it is not one of the training set."""
        match = PART.fullmatch(self.name)
        return int(match["number"]) if match else None

    def path(self, name: str) -> str:
        """Return the path of one of its files, relative to the root."""
        return PurePosixPath(self.folder, name).as_posix()

    def key(self, name: str) -> str:
        """Return the key of one of its clips."""
        return "-".join([*([self.name] if self.name else []), PurePosixPath(name).stem])


def parts_of(files: dict[str, int], root: Path) -> list[Part]:
    """Find the parts, and read their lists: folders that are named like one, and the root where it has a list.

    Args:
        files: size by path of the video files and lists under the root.
        root: where they lie.

    Raises:
        ListingError: a part is there twice, or its list can't be right.
    """
    folders: dict[str, dict[str, int]] = {}
    for path, count in files.items():
        folders.setdefault(PurePosixPath(path).parent.as_posix(), {})[PurePosixPath(path).name] = count
    parts: dict[str, Part] = {}
    for folder, members in folders.items():
        name = _part_name(root.resolve().name if folder == "." else PurePosixPath(folder).name)
        has_list = dfdc_list.NAME in members
        if not name and not (folder == "." and has_list):
            continue
        if name in parts:
            raise ListingError(f"{root}: {name} is there twice, as {parts[name].folder} and {folder}; keep one of them")
        entries = dfdc_list.read(root / folder / dfdc_list.NAME) if has_list else None
        clips = {file: count for file, count in members.items() if file != dfdc_list.NAME}
        parts[name] = Part(name, folder, clips, entries)
    return sorted(parts.values(), key=lambda part: (part.number is None, part.number or 0))


def _part_name(folder: str) -> str:
    """Name the part that a folder is: `dfdc_train_part_7` also for `dfdc_train_part_07`; empty where it is none."""
    match = PART.fullmatch(folder)
    return f"dfdc_train_part_{int(match['number'])}" if match else folder if folder == SAMPLE else ""
