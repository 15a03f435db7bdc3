"""FaceForensics++ in its official layout.

`original_sequences/youtube/QUALITY/videos/AAA.mp4` and `manipulated_sequences/METHOD/QUALITY/videos/AAA_BBB.mp4`: the
face of BBB put on the clip AAA. The official splits are pairs of ids; both directions of a pair are in its split.
"""

import json
import re
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path

from dualface.datasets import disk
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from dualface.manifest import Video, checked

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
QUALITIES = ("raw", "c23", "c40")
QUALITY = rf"(?P<quality>{'|'.join(QUALITIES)})"
ORIGINAL = re.compile(rf"original_sequences/youtube/{QUALITY}/videos/(?P<clip>[0-9]{{3}})\.mp4")
MANIPULATED = re.compile(
    rf"manipulated_sequences/(?P<method>{'|'.join(METHODS)})/{QUALITY}/videos/"
    r"(?P<clip>(?P<target>[0-9]{3})_(?P<donor>[0-9]{3}))\.mp4"
)


def videos(root: Path, *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> list[Video]:
    """List the videos that are there.

    Args:
        root: the folder that holds `original_sequences` and `manipulated_sequences`.
        qualities: compression levels to take, of `QUALITIES`; none named = all present.
        methods: manipulations to take, of `METHODS`; none named = all present. Originals are always taken.

    Raises:
        ListingError: no video of the layout, or none of a quality or method that was asked for.
    """
    found = [video for path, count in disk.video_files(root).items() if (video := parsed(path, count))]
    if not found:
        raise ListingError(
            f"{root}: no FaceForensics++ video; looked for original_sequences/youtube/c23/videos/000.mp4 and "
            "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4: ROOT is the folder that holds these two"
        )
    chosen = [
        video
        for video in found
        if (not qualities or video.quality in qualities)
        and (not methods or video.method is None or video.method in methods)
    ]
    _check_present(found, chosen, asked=(*qualities, *methods), root=root)
    return checked(chosen, where=str(root))


def parsed(path: str, count: int) -> Video | None:
    """Read a video's row off its path relative to the root; None where the layout has no such path."""
    if match := ORIGINAL.fullmatch(path):
        return Video(
            key=f"original-{match['quality']}-{match['clip']}",
            dataset="ffpp",
            path=path,
            bytes=count,
            label=REAL,
            identities=(match["clip"],),
            quality=match["quality"],
            split=split_of((match["clip"],)),
        )
    if match := MANIPULATED.fullmatch(path):
        identities = (match["target"], match["donor"])
        return Video(
            key=f"{match['method']}-{match['quality']}-{match['clip']}",
            dataset="ffpp",
            path=path,
            bytes=count,
            label=FAKE,
            identities=identities,
            source_key=f"original-{match['quality']}-{match['target']}",
            method=match["method"],
            quality=match["quality"],
            split=split_of(identities),
        )
    return None


def split_of(identities: tuple[str, ...]) -> str | None:
    """Return the official split that holds all of these ids; None where there is none."""
    splits = {official_splits().get(identity) for identity in identities}
    return splits.pop() if len(splits) == 1 else None


@cache
def official_splits() -> dict[str, str]:
    """Return the official split of each id, from the pairs that the data set publishes."""
    text = resources.files(__package__).joinpath("ffpp_splits.json").read_text(encoding="utf-8")
    return {identity: split for split, pairs in json.loads(text).items() for pair in pairs for identity in pair}


def _check_present(found: list[Video], chosen: list[Video], *, asked: tuple[str, ...], root: Path) -> None:
    there = {name for video in chosen for name in (video.quality, video.method)}
    if missing := [name for name in asked if name not in there]:
        kinds = Counter(f"{video.method or 'original'} {video.quality}" for video in found)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise ListingError(f"{root}: no video for {', '.join(missing)}, which was asked for; there are: {counts}")
