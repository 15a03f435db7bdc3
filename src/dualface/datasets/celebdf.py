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
from dualface.errors import ListingError
from dualface.label import FAKE, NAMES, REAL
from dualface.manifest import Video, checked

TEST_LIST = "List_of_testing_videos.txt"
FRAME_LABELS = "labels.json"
WORDS = {"1": REAL, "0": FAKE}
REAL_CLIP = re.compile(r"Celeb-real/(?P<key>(?P<target>id[0-9]+)_[0-9]+)\.mp4")
YOUTUBE_CLIP = re.compile(r"YouTube-real/(?P<key>[0-9]+)\.mp4")
FAKE_CLIP = re.compile(r"Celeb-synthesis/(?P<key>(?P<target>id[0-9]+)_(?P<donor>id[0-9]+)_(?P<clip>[0-9]+))\.mp4")


def videos(root: Path) -> list[Video]:
    """List the videos that are there; a partial download is fine.

    Raises:
        ListingError: no folder or no video of the layout, no test list, or a line of it, or of the frame labels,
            that can't be right.
    """
    found = [video for path, count in disk.video_files(root).items() if (video := parsed(path, count))]
    if not found:
        raise ListingError(
            f"{root}: no Celeb-DF video; looked for Celeb-real/id0_0000.mp4, YouTube-real/00000.mp4 and "
            "Celeb-synthesis/id0_id1_0000.mp4: ROOT is the folder that holds these three"
        )
    test = test_list(root)
    ranges = _fake_ranges(root / FRAME_LABELS)
    if unknown := sorted(ranges.keys() - {video.path for video in found} - test.keys()):
        raise ListingError(f"{root / FRAME_LABELS}: {len(unknown)} of its paths are not there: {disk.few(unknown)}")
    return checked(
        [
            replace(video, split="test" if video.path in test else "train", fake_ranges=ranges.get(video.path))
            for video in found
        ],
        where=str(root),
    )


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


def absent(root: Path, listed: list[Video]) -> list[str]:
    """Name the videos of the official test list that are not among those listed, sorted."""
    return sorted(test_list(root).keys() - {video.path for video in listed})


def test_counts(root: Path) -> str:
    """Say how many real and fake videos the test list names, beside what the published one does."""
    count = Counter(test_list(root).values())
    return f"{count[REAL]} real, {count[FAKE]} fake (Celeb-DF v2 as published: 178 real, 340 fake)"


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
