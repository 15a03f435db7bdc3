"""Turn a data set on disk into a listing, and say in words what was found."""

import shlex
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from dualface.datasets import celebdf, disk, ffpp, folder
from dualface.errors import ListingError
from dualface.label import NAMES
from dualface.manifest import OFFICIAL_SPLITS, Video

DATASETS = ("celebdf", "ffpp", "folder")


@dataclass(frozen=True)
class Inventory:
    """What a scan found.

    Attributes:
        root: the folder that the videos' paths are relative to.
        videos: the rows of the listing.
        notes: what a user should know about them, a sentence each.
    """

    root: Path
    videos: list[Video]
    notes: list[str]


def scan(dataset: str, source: Path, *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> Inventory:
    """List a data set.

    Args:
        dataset: one of `DATASETS`.
        source: its folder; for `folder` also a CSV.
        qualities: of FaceForensics++, those to take; none named = all.
        methods: of FaceForensics++, those to take; none named = all.

    Raises:
        ListingError: the data set is unknown, or what lies there is not it.
    """
    if (qualities or methods) and dataset != "ffpp":
        raise ListingError(f"{dataset} has no qualities or methods to choose from; only ffpp has")
    match dataset:
        case "celebdf":
            videos = celebdf.videos(source)
            notes = _test_list_notes(source, videos)
        case "ffpp":
            videos = ffpp.videos(source, qualities=qualities, methods=methods)
            notes = []
        case "folder":
            videos = folder.videos(source)
            notes = []
        case _:
            raise ListingError(f"data set {dataset!r} is unknown; known: {', '.join(DATASETS)}")
    root = source.parent if source.is_file() else source
    return Inventory(root, videos, [*notes, *_split_notes(videos), *_rest_notes(source, videos)])


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
    return "\n".join(
        [
            f"{len(inventory.videos):,} videos under {inventory.root}",
            "",
            *_table(inventory.videos),
            "",
            *(f"- {note}" for note in inventory.notes),
            *([""] if inventory.notes else []),
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


def _test_list_notes(root: Path, videos: list[Video]) -> list[str]:
    notes = [f"the test list names {celebdf.test_counts(root)}"]
    if absent := celebdf.absent(root, videos):
        notes.append(f"{len(absent)} videos of the test list are not there: {disk.few(absent)}")
    return notes


def _split_notes(videos: list[Video]) -> list[str]:
    count = Counter(video.label for video in videos)
    splits = {video.split for video in videos}
    notes = [f"there is no {name} video; both classes are needed" for label, name in NAMES.items() if not count[label]]
    if empty := [video.path for video in videos if not video.bytes]:
        notes.append(f"{len(empty)} files are empty: {disk.few(empty)}")
    if None in splits and len(splits) > 1:
        outside = sum(video.split is None for video in videos)
        notes.append(f"{outside} videos are in no official split and count as train")
    if shared := _shared_people(videos):
        notes.append(
            f"{len(shared)} people are in more than one of its splits ({disk.few(shared)}): to accept that, "
            "set subset.on_overlap to count"
        )
    if all(video.identities == (video.key,) for video in videos):
        notes.append("no identities are known, so each video counts as a person of its own; a CSV can name them")
    return notes


def _shared_people(videos: list[Video]) -> list[str]:
    pairs = {(identity, video.split or "train") for video in videos for identity in video.identities}
    splits = Counter(identity for identity, _ in pairs)
    return sorted(identity for identity, number in splits.items() if number > 1)


def _rest_notes(source: Path, videos: list[Video]) -> list[str]:
    if source.is_file():
        return []
    files = disk.video_files(source).keys()
    rest = sorted(files - {video.path for video in videos})
    return [f"{len(rest)} of {len(files)} video files here were not listed: {disk.few(rest)}"] if rest else []
