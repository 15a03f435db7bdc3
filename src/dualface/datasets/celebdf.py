"""Celeb-DF v2, and sets laid out like it (the demo).

Layout: `Celeb-real/id0_0001.mp4`, `YouTube-real/00001.mp4`, `Celeb-synthesis/id0_id1_0003.mp4` (the face of id1 put
on the clip Celeb-real/id0_0003), and `List_of_testing_videos.txt`, whose lines mark REAL with 1 and FAKE with 0: the
reverse of ours. What the list does not name is for training. A `labels.json` beside the list, where there is one,
gives the fake frames of videos: `{path: [[start, end], ...]}`, half-open.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from dualface.datasets import disk
from dualface.datasets.inventory import Group, Inventory, NoVideos, by_count
from dualface.errors import ListingError
from dualface.label import FAKE, NAMES, REAL
from dualface.manifest import Video, checked

TEST_LIST = "List_of_testing_videos.txt"
FRAME_LABELS = "labels.json"
WORDS = {"1": REAL, "0": FAKE}
FOLDERS = {"Celeb-real": 590, "YouTube-real": 300, "Celeb-synthesis": 5639}  # videos in the full set
TESTED = {REAL: 178, FAKE: 340}  # in its test list
REAL_CLIP = re.compile(r"Celeb-real/(?P<key>(?P<target>id[0-9]+)_[0-9]+)\.mp4")
YOUTUBE_CLIP = re.compile(r"YouTube-real/(?P<key>[0-9]+)\.mp4")
FAKE_CLIP = re.compile(r"Celeb-synthesis/(?P<key>(?P<target>id[0-9]+)_(?P<donor>id[0-9]+)_(?P<clip>[0-9]+))\.mp4")


def inventory(root: Path) -> Inventory:
    """List the videos that are there; a partial download is fine.

    Raises:
        NoVideos: no video of the layout is there.
        ListingError: no test list, or a line of it, or of the frame labels, that can't be right.
    """
    files = disk.video_files(root)
    found = [video for path, count in files.items() if (video := parsed(path, count))]
    if not found:
        raise NoVideos(
            f"{root}: no Celeb-DF video; looked for Celeb-real/id0_0000.mp4, YouTube-real/00000.mp4 and "
            "Celeb-synthesis/id0_id1_0000.mp4: ROOT is the folder that holds these three"
        )
    test = test_list(root)
    ranges = _fake_ranges(root / FRAME_LABELS)
    there = {video.path for video in found}
    if unknown := sorted(path for path in ranges if parsed(path, 0) is None):
        raise ListingError(
            f"{root / FRAME_LABELS}: {len(unknown)} of its paths are none of this layout: {disk.few(unknown)}"
        )
    listed = [
        replace(video, split="test" if video.path in test else "train", fake_ranges=ranges.get(video.path))
        for video in found
    ]
    return Inventory(
        root,
        checked(listed, where=str(root)),
        notes=tuple(_test_notes(test, there)),
        title="Celeb-DF v2",
        groups=tuple(groups(there, test)),
        unlisted=tuple(sorted(files.keys() - there)),
    )


def groups(there: set[str], test: dict[str, int]) -> list[Group]:
    """Compare with the full set, by count; of what is missing, the names in the test list are known.

    Args:
        there: paths of the videos that are there, relative to the root.
        test: the official test list, label by path. Where it is not that of Celeb-DF v2, the set is another one of
            its layout: nobody can say what is missing, and there are no groups.
    """
    if not _is_published(test):
        return []
    return [
        by_count(
            folder,
            expected=expected,
            there=[path for path in there if path.startswith(f"{folder}/")],
            known=[path for path in test if path.startswith(f"{folder}/")],
        )
        for folder, expected in FOLDERS.items()
    ]


def parsed(path: str, count: int) -> Video | None:
    """Read a video's row off its path relative to the root; None where the layout has no such path."""
    if match := REAL_CLIP.fullmatch(path):
        return Video(match["key"], "celebdf", path, count, REAL, (match["target"],))
    if match := YOUTUBE_CLIP.fullmatch(path):
        # Nobody says who is in these clips: each counts as a person of its own.
        return Video(match["key"], "celebdf", path, count, REAL, (f"youtube-{match['key']}",))
    if match := FAKE_CLIP.fullmatch(path):
        source = f"{match['target']}_{match['clip']}"
        return Video(match["key"], "celebdf", path, count, FAKE, (match["target"], match["donor"]), source)
    return None


def test_list(root: Path) -> dict[str, int]:
    """Read the official test list: label (1 = FAKE) by path.

    Raises:
        ListingError: it is missing, or a line has another form, contradicts its folder or appears twice.
    """
    path = root / TEST_LIST
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ListingError(f"{path}: not found; it comes with the set and says which videos are for testing") from None
    except UnicodeDecodeError:
        raise ListingError(f"{path}: not a text file; copy it again from the data set") from None
    labels: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, label = _line(line, where=f"{path}:{number}")
            if name in labels:
                raise ListingError(f"{path}:{number}: {name} appears twice")
            labels[name] = label
    return labels


def _test_notes(test: dict[str, int], there: set[str]) -> list[str]:
    count = Counter(test.values())
    names = f"the test list names {count[REAL]} real and {count[FAKE]} fake videos"
    if _is_published(test):
        notes = [f"{names}, as published"]
    else:
        notes = [
            f"{names}, not the {TESTED[REAL]} and {TESTED[FAKE]} of Celeb-DF v2: it is another set of the same layout, "
            "or a list that is not whole, so nothing is counted as missing"
        ]
    if absent := sorted(test.keys() - there):
        notes.append(f"not here: {disk.counted(len(absent), 'video')} of the test list: {disk.few(absent)}")
    return notes


def _is_published(test: dict[str, int]) -> bool:
    return Counter(test.values()) == TESTED


def _line(line: str, *, where: str) -> tuple[str, int]:
    word, _, name = line.strip().partition(" ")
    name = name.strip()
    video = parsed(name, 0)
    if word not in WORDS or video is None:
        raise ListingError(f"{where}: expected '1 PATH' (real) or '0 PATH' (fake), got {line[:200]!r}")
    if WORDS[word] != video.label:
        raise ListingError(
            f"{where}: {word} marks {NAMES[WORDS[word]]} in this list, but {name} lies in a folder of "
            f"{NAMES[video.label]} videos"
        )
    return name, video.label


def _fake_ranges(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ListingError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise ListingError(f"{path}: expected an object of paths, got a {type(content).__name__}")
    return {name: _ranges(ranges, where=f"{path}: {name!r}") for name, ranges in content.items()}


def _ranges(content: Any, *, where: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(content, list) or not all(_is_range(pair) for pair in content):
        raise ListingError(f"{where}: expected a list of [start, end) frame numbers, got {str(content)[:80]}")
    return tuple((start, end) for start, end in content)


def _is_range(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
