"""Turn a data set on disk into a listing, and say in words what was found."""

import posixpath
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from dualface.datasets import celebdf, dfd, dfdc, dfdc_list, disk, ffpp, folder, layouts
from dualface.datasets import inventory as inventories
from dualface.datasets.inventory import Inventory, NoVideos
from dualface.errors import ListingError
from dualface.label import FAKE, NAMES
from dualface.manifest import OFFICIAL_SPLITS, Video

DATASETS = tuple(layouts.NAMES)


def scan(dataset: str, source: Path, *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> Inventory:
    """List a data set.

    Args:
        dataset: one of `DATASETS`.
        source: its folder; for `folder` also a CSV.
        qualities: of FaceForensics++ and DFD, those to take; none named = all.
        methods: of FaceForensics++, those to take; none named = all.

    Raises:
        ListingError: the data set is unknown, or what lies there is not it.
    """
    if qualities and dataset not in ("ffpp", "dfd"):
        raise ListingError(f"{dataset} has no qualities to choose from; ffpp and dfd have")
    if methods and dataset != "ffpp":
        raise ListingError(f"{dataset} has no methods to choose from; only ffpp has")
    try:
        return _inventory(dataset, source, qualities=qualities, methods=methods)
    except NoVideos as error:
        raise ListingError(f"{error}; {_there_is(source, asked=dataset)}") from None


def from_repository(inventory: Inventory, *, here: Path) -> Inventory:
    """Write paths as `./...` where the videos lie inside the repository, so that no machine setting is needed."""
    root, here = inventory.root.resolve(), here.resolve()
    if not root.is_relative_to(here):
        return inventory
    prefix = root.relative_to(here).as_posix()
    start = "./" if prefix == "." else f"./{prefix}/"
    return replace(inventory, videos=[replace(video, path=start + video.path) for video in inventory.videos])


def told(inventory: Inventory, *, listing: Path) -> str:
    """Say what was found, in lines for a terminal.

    Args:
        inventory: of the scan.
        listing: where its rows were written.
    """
    groups = inventories.lines(inventory)
    notes = [*inventory.notes, *_notes(inventory)]
    return "\n".join(
        [
            f"{disk.counted(len(inventory.videos), 'video')} under {inventory.root}",
            "",
            *_table(inventory.videos),
            "",
            *groups,
            *([""] if groups else []),
            *(f"- {note}" for note in notes),
            *([""] if notes else []),
            f"listed in {listing}",
            "",
        ]
    )


def next_steps(inventory: Inventory, *, listing: Path) -> str:
    """Say what to run on the listing: commands that fit the splits that there are."""
    splits = {video.split for video in inventory.videos}
    settings = [f"ingest.listing={shlex.quote(str(listing))}"]
    for split in ("val", "test"):
        source, share = (split, "null") if split in splits else ("train", "0.2")
        settings += [f"subset.{split}.take_from={source}", f"subset.{split}.share={share}"]
    if _shared_people(inventory.videos):
        settings.append("subset.on_overlap=count")
    if missing := _classes_missing(inventory.videos):
        return f"\nnext: nothing to run yet, without a {missing[0]} video; scan again when there are some\n"
    steps = [f"git add {shlex.quote(str(listing))}", "dvc exp run " + " ".join(f"-S {one}" for one in settings)]
    if any(not video.path.startswith("./") for video in inventory.videos):
        steps.insert(0, f"export DUALFACE_DATA={shlex.quote(str(inventory.root.resolve()))}")
    return "\n".join(["", "next:", *(f"  {step}" for step in steps), ""])


def _table(videos: list[Video]) -> list[str]:
    count = Counter((video.split or "no split", video.label) for video in videos)
    splits = [split for split in (*OFFICIAL_SPLITS, "no split") if any(count[split, label] for label in NAMES)]
    lines = [f"{'split':10}" + "".join(f"{name:>10}" for name in (*NAMES.values(), "all"))]
    for split in splits:
        numbers = [count[split, label] for label in NAMES]
        lines.append(f"{split:10}" + "".join(f"{number:10,}" for number in (*numbers, sum(numbers))))
    if len(splits) > 1:
        numbers = [sum(count[split, label] for split in splits) for label in NAMES]
        lines.append(f"{'all':10}" + "".join(f"{number:10,}" for number in (*numbers, sum(numbers))))
    return lines


def _notes(inventory: Inventory) -> list[str]:
    """What can be said of any data set."""
    videos, splits = inventory.videos, {video.split for video in inventory.videos}
    notes = [f"there is no {name} video; both classes are needed" for name in _classes_missing(videos)]
    if known := sum(video.fake_ranges is not None and video.label == FAKE for video in videos):
        notes.append(f"known frame by frame: what is fake in {disk.counted(known, 'video')}")
    if empty := [video.path for video in videos if not video.bytes]:
        notes.append(f"empty: {disk.counted(len(empty), 'file')}: {disk.few(empty)}")
    if None in splits and len(splits) > 1:
        outside = disk.counted(sum(video.split is None for video in videos), "video")
        notes.append(f"in no official split: {outside}, counted as train")
    if shared := _shared_people(videos):
        notes.append(
            f"in more than one of its splits: {disk.counted(len(shared), 'person', 'people')} ({disk.few(shared)}); to "
            "accept that, set subset.on_overlap to count"
        )
    if all(video.identities == (video.key,) for video in videos):
        notes.append("no identities are known, so each video counts as a person of its own; a CSV can name them")
    if rest := inventory.unlisted:
        notes.append(f"not listed: {disk.counted(len(rest), 'video file')} not of the set: {disk.few(rest)}")
    return notes


def _classes_missing(videos: list[Video]) -> list[str]:
    there = {video.label for video in videos}
    return [name for label, name in NAMES.items() if label not in there]


def _shared_people(videos: list[Video]) -> list[str]:
    pairs = {(identity, video.split or "train") for video in videos for identity in video.identities}
    splits = Counter(identity for identity, _ in pairs)
    return sorted(identity for identity, number in splits.items() if number > 1)


def _inventory(
    dataset: str, source: Path, *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = ()
) -> Inventory:
    match dataset:
        case "celebdf":
            return celebdf.inventory(source)
        case "ffpp":
            return ffpp.inventory(source, qualities=qualities, methods=methods)
        case "dfd":
            return dfd.inventory(source, qualities=qualities)
        case "dfdc":
            return dfdc.inventory(source)
        case "folder":
            return folder.inventory(source)
        case _:
            raise ListingError(f"data set {dataset!r} is unknown; known: {', '.join(DATASETS)}")


def _there_is(source: Path, *, asked: str) -> str:
    """Say what lies in a folder where a data set was not found, and which command lists it."""
    files = disk.files(source, wanted=lambda name: disk.is_video(name) or name == dfdc_list.NAME)
    found = [path for path in files if disk.is_video(path)]
    if not found:
        return "there is no video file at all"
    here = PurePosixPath(source.resolve().as_posix())
    # Two of each folder are enough to tell, and a set has up to 100,000.
    samples = {path for order in (found, found[::-1]) for path in {Path(path).parent: path for path in order}.values()}
    beside = {"real": "fake", "fake": "real"}.get(here.name)
    if beside and source.resolve().with_name(beside).is_dir():
        samples.add(f"../{beside}/any.mp4")
    known = layouts.recognised(
        [posixpath.normpath(here / path) for path in samples],
        lists={(here / path).parent.as_posix() for path in files if not disk.is_video(path)},
    )
    elsewhere = [one for one in known if one != (asked, here.as_posix())]
    if not elsewhere:
        return f"there are other videos, of no layout known here: {disk.few(found)}"
    dataset, root = min(elsewhere, key=lambda one: one[0] != asked)
    # As the user wrote it where that is possible: a path that starts at the same folder.
    below = PurePosixPath(root).is_relative_to(here)
    where = source / PurePosixPath(root).relative_to(here) if below else Path(root)
    looks = "" if dataset == asked else f"this looks like {layouts.NAMES[dataset]}; "
    return f"{looks}try: dualface scan {dataset} {shlex.quote(str(where))}"
