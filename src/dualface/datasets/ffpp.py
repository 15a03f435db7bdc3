"""FaceForensics++ in its official layout.

`original_sequences/youtube/QUALITY/videos/AAA.mp4` and `manipulated_sequences/METHOD/QUALITY/videos/AAA_BBB.mp4`: the
face of BBB put on the clip AAA. The official splits are pairs of ids; both directions of a pair are in its split.
"""

import json
import re
from functools import cache
from importlib import resources
from pathlib import Path

from dualface.datasets import disk, faceforensics
from dualface.datasets.faceforensics import QUALITY
from dualface.datasets.inventory import Group, Inventory, NoVideos, by_name
from dualface.label import FAKE, REAL
from dualface.manifest import Video, checked

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
FIRST_METHODS = METHODS[:4]  # those of the paper; FaceShifter was added later and is not missed where it is not there
DFD_FOLDERS = ("original_sequences/actors/", "manipulated_sequences/DeepFakeDetection/")
ORIGINAL = re.compile(rf"original_sequences/youtube/{QUALITY}/videos/(?P<clip>[0-9]{{3}})\.mp4")
MANIPULATED = re.compile(
    rf"manipulated_sequences/(?P<method>{'|'.join(METHODS)})/{QUALITY}/videos/"
    r"(?P<clip>(?P<target>[0-9]{3})_(?P<donor>[0-9]{3}))\.mp4"
)


def inventory(root: Path, *, qualities: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> Inventory:
    """List the videos that are there; a partial download is fine.

    Args:
        root: the folder that holds `original_sequences` and `manipulated_sequences`.
        qualities: compression levels to take, of `faceforensics.QUALITIES`; none named = all present.
        methods: manipulations to take, of `METHODS`; none named = all present. Originals are always taken.

    Raises:
        NoVideos: no video of the layout is there.
        ListingError: none of a quality or method that was asked for.
    """
    files = disk.video_files(root)
    found = [video for path, count in files.items() if (video := parsed(path, count))]
    if not found:
        raise NoVideos(
            f"{root}: no FaceForensics++ video; looked for original_sequences/youtube/c23/videos/000.mp4 and "
            "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4: ROOT is the folder that holds these two"
        )
    taken = faceforensics.chosen(found, qualities=qualities, methods=methods, root=root)
    notes, unlisted = faceforensics.sorted_out(
        files.keys() - {video.path for video in found}, other="DFD", command="dfd", folders=DFD_FOLDERS
    )
    only = f" ({faceforensics.joined(methods)} only)" if methods else ""
    return Inventory(
        root,
        checked(taken, where=str(root)),
        notes=(*faceforensics.choice_notes(found, taken), *notes),
        title=f"FaceForensics++{only} at {faceforensics.joined(faceforensics.present(taken))}",
        groups=tuple(groups(taken, methods=methods)),
        unlisted=tuple(unlisted),
    )


def groups(taken: list[Video], *, methods: tuple[str, ...] = ()) -> list[Group]:
    """Compare with the full set, by name: at each quality that is there, its originals and the fakes of each method.

    Args:
        taken: the videos listed.
        methods: those asked for; none named = the first four, and FaceShifter where there is some of it.
    """
    there = {video.method for video in taken}
    wanted = [one for one in METHODS if one in (methods or FIRST_METHODS) or one in there]
    clips = [f"{clip}.mp4" for clip in official_splits()]
    fakes = [f"{target}_{donor}.mp4" for pair in official_pairs() for target, donor in (pair, pair[::-1])]
    return [
        by_name(
            f"{method or 'original'} {quality}",
            expected=fakes if method else clips,
            there=faceforensics.names(taken, method=method, quality=quality),
        )
        for quality in faceforensics.present(taken)
        for method in (None, *wanted)
    ]


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
    """Return the official split of each id."""
    return {identity: split for pair, split in official_pairs().items() for identity in pair}


@cache
def official_pairs() -> dict[tuple[str, str], str]:
    """Return the official split of each pair of ids that were put on each other, as the data set publishes them."""
    text = resources.files(__package__).joinpath("ffpp_splits.json").read_text(encoding="utf-8")
    return {(first, second): split for split, pairs in json.loads(text).items() for first, second in pairs}
