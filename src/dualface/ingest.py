"""Check of a listing against the disk, before hours go into it."""

from collections import Counter
from pathlib import Path
from typing import Any

from dualface.errors import ListingError
from dualface.label import NAMES
from dualface.manifest import OFFICIAL_SPLITS, Video, locate


def check(videos: list[Video], data_root: Path | None) -> None:
    """Check that both classes are listed and that every file is there with the byte count listed.

    Args:
        videos: the rows of the listing.
        data_root: what `DUALFACE_DATA` names; None where it is not set.

    Raises:
        ListingError: with counts, and the first names of each kind.
    """
    by_label = Counter(video.label for video in videos)
    if any(by_label[label] == 0 for label in NAMES):
        there = " and ".join(f"{by_label[label]} {name}" for label, name in NAMES.items())
        raise ListingError(f"the listing has {there} videos; both classes are needed, to train and to measure")
    if data_root is not None and not data_root.is_dir():
        raise ListingError(f"DUALFACE_DATA={data_root}: no such folder")
    missing, changed = [], []
    for video in videos:
        path = locate(video, data_root)
        if not path.is_file():
            missing.append(video.path)
        elif (count := path.stat().st_size) != video.bytes:
            changed.append(f"{video.path} ({count} bytes, listed {video.bytes})")
    if missing or changed:
        raise ListingError(_message(videos, missing, changed, data_root))


def counts(videos: list[Video]) -> dict[str, Any]:
    """Count the videos: in all, by class, by official split and class, by data set and class; and the identities."""
    return {
        "videos": len(videos),
        **_by_class(videos),
        "identities": len({identity for video in videos for identity in video.identities}),
        "splits": {
            split or "none": _by_class([video for video in videos if video.split == split])
            for split in (*OFFICIAL_SPLITS, None)
            if any(video.split == split for video in videos)
        },
        "datasets": {
            dataset: _by_class([video for video in videos if video.dataset == dataset])
            for dataset in sorted({video.dataset for video in videos})
        },
    }


def _by_class(videos: list[Video]) -> dict[str, int]:
    by_label = Counter(video.label for video in videos)
    return {name: by_label[label] for label, name in NAMES.items()}


def _message(videos: list[Video], missing: list[str], changed: list[str], data_root: Path | None) -> str:
    root = data_root if any(not video.path.startswith("./") for video in videos) else Path.cwd()
    kinds = [("missing", missing), ("of another size", changed)]
    told = [f"{len(names)} {kind}, first: {', '.join(names[:3])}" for kind, names in kinds if names]
    datasets = sorted({video.dataset for video in videos})
    return (
        f"of {len(videos)} listed videos under {root}, {'; '.join(told)}. If {root} is the right folder, list what it "
        f"holds now: dualface scan {'|'.join(datasets)} ROOT"
    )
