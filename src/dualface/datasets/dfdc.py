"""DFDC, the training set of the DeepFake Detection Challenge, and its sample on Kaggle.

`dfdc_train_part_0/` to `dfdc_train_part_49/`, each with its clips and a `metadata.json` that labels them; the root is
the folder that holds the parts, or one part, or `train_sample_videos/`. What no list labels can't be used and is told.

DFDC names no people. A clip and the fakes made from it share one identity, the key of that clip, whether it is there
or not: so they never come apart between training and test. Who was put on it is not known.
"""

from pathlib import Path

from dualface.datasets import dfdc_list, disk
from dualface.datasets.dfdc_parts import SAMPLE, Part, parts_of
from dualface.datasets.inventory import Group, Inventory, NoVideos, by_name
from dualface.errors import ListingError
from dualface.label import FAKE
from dualface.manifest import Video, checked

PARTS, CLIPS = 50, 119_154  # of the full training set


def inventory(root: Path) -> Inventory:
    """List the clips that are there and labelled; a partial download is fine.

    Raises:
        NoVideos: there is no part.
        ListingError: a list can't be right, there is none, or no clip that one labels.
    """
    files = disk.files(root, wanted=lambda name: disk.is_video(name) or name == dfdc_list.NAME)
    parts = parts_of(files, root)
    if not parts:
        raise NoVideos(
            f"{root}: no part of DFDC; looked for dfdc_train_part_0/{dfdc_list.NAME} and the clips beside it: ROOT is "
            f"the folder that holds the parts, or a folder of clips with its {dfdc_list.NAME}"
        )
    found = videos(parts)
    if not found:
        raise ListingError(f"{root}: {_why_none(parts)}")
    in_parts = {part.path(name) for part in parts for name in part.files}
    return Inventory(
        root,
        checked(found, where=str(root)),
        notes=tuple(_notes(parts)),
        title=_title(parts),
        groups=tuple(groups(parts)),
        unlisted=tuple(path for path in files if disk.is_video(path) and path not in in_parts),
    )


def videos(parts: list[Part]) -> list[Video]:
    """Make rows of the clips that are there and labelled."""
    homes, families = _homes(parts), _families(parts)
    return [
        Video(
            key=part.key(name),
            dataset="dfdc",
            path=part.path(name),
            bytes=part.files[name],
            label=label,
            identities=(homes[families[name]].key(families[name]),),
            source_key=_source_key(part, name, homes) if label == FAKE else None,
            split=part.listed[name].split,
        )
        for part in parts
        for name, label in part.labels.items()
        if name in part.files
    ]


def groups(parts: list[Part]) -> list[Group]:
    """Compare with the full set: by name in each part that has a list, by count for the parts that are not there."""
    with_list = [part for part in parts if part.entries is not None]
    found = [
        by_name(
            part.name or "this folder",
            expected=part.labels,
            there=[name for name in part.files if name in part.labels or name not in part.listed],
        )
        for part in with_list
    ]
    here = {part.number for part in with_list}
    others = [f"dfdc_train_part_{number}" for number in range(PARTS) if number not in here]
    if not others or not any(part.number is not None and part.folder != "." for part in parts):
        return found
    left = max(CLIPS - sum(len(part.listed) for part in with_list), 0)
    return [*found, Group(f"{len(others)} other parts", left, 0, missing_names=tuple(others))]


def _homes(parts: list[Part]) -> dict[str, Part]:
    """Say in which part each clip lies that is named somewhere; where no list has it, with the first of its fakes."""
    homes: dict[str, Part] = {}
    for part in parts:
        for name in part.listed:
            homes.setdefault(name, part)
    for part in parts:
        for one in part.listed.values():
            if one.original:
                homes.setdefault(one.original, part)
    return homes


def _families(parts: list[Part]) -> dict[str, str]:
    """Say of each clip listed which one it goes back to, by file name.

    A name in two parts counts as the same clip here (the sample's are in the training set too), so that whatever two
    lists say, clips that have to do with each other are one family.
    """
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while name in above:
            above[name] = above.get(above[name], above[name])  # halves the way for the next
            name = above[name]
        return name

    for part in parts:
        for name, entry in part.listed.items():
            if entry.original is not None and (first := top(entry.original)) != (last := top(name)):
                above[last] = first
    return {name: top(name) for part in parts for name in part.listed}


def _source_key(part: Part, name: str, homes: dict[str, Part]) -> str | None:
    original = part.listed[name].original
    if original is None:
        return None
    return (part if original in part.listed else homes[original]).key(original)


def _title(parts: list[Part]) -> str:
    if all(part.name == SAMPLE for part in parts):
        return "DFDC's training sample"
    if all(part.folder == "." for part in parts):
        return f"this part of DFDC (the full training set has {CLIPS:,} in {PARTS} parts)"
    return "the DFDC training set"


def _notes(parts: list[Part]) -> list[str]:
    notes = ["DFDC names no people: a clip and its fakes stay together, but who is in two clips may be in two splits"]
    without = [part for part in parts if part.entries is None]
    if without:
        count = sum(len(part.files) for part in without)
        notes.append(
            f"not listed: {disk.counted(count, 'video')} without labels in {disk.few(part.name for part in without)}, "
            f"where there is no {dfdc_list.NAME}; it comes in the part's zip file"
        )
    unnamed = sum(name not in part.listed for part in parts if part.entries is not None for name in part.files)
    if unnamed:
        notes.append(f"not listed: {disk.counted(unnamed, 'video')} that no list names, so without a label")
    if unlabelled := _unlabelled(parts):
        notes.append(
            f"not listed: {disk.counted(len(unlabelled), 'entry', 'entries')} that say neither FAKE nor REAL: "
            f"{disk.few(unlabelled)}"
        )
    return notes


def _unlabelled(parts: list[Part]) -> list[str]:
    return [part.path(name) for part in parts for name in part.listed if name not in part.labels]


def _why_none(parts: list[Part]) -> str:
    if all(part.entries is None for part in parts):
        return (
            f"its videos have no labels: there is no {dfdc_list.NAME} in {disk.few(part.name for part in parts)}; it "
            "comes in the part's zip file"
        )
    labelled = [part.path(name) for part in parts for name in part.labels]
    if labelled:
        clips = disk.counted(len(labelled), "clip")
        return f"none of {clips} that the lists label is here; looked for {disk.few(labelled)}"
    return f"no entry of the lists says FAKE or REAL ({len(_unlabelled(parts)):,} say neither), and labels are needed"
