"""DFD, the DeepFakeDetection set of Google and Jigsaw, as FaceForensics++ distributes it.

`original_sequences/actors/QUALITY/videos/AA__SCENE.mp4` and
`manipulated_sequences/DeepFakeDetection/QUALITY/videos/AA_BB__SCENE__XXXXXXXX.mp4`: the face of actor BB put on actor
AA in the clip AA__SCENE (its README: `<target actor>_<source actor>__<sequence name>__<8 character experiment id>`).
There is no official split, and no list of names: what is there is compared with the full set by count.
"""

import re
from pathlib import Path

from dualface.datasets import disk, faceforensics, ffpp
from dualface.datasets.faceforensics import QUALITY
from dualface.datasets.inventory import Group, Inventory, NoVideos, by_count
from dualface.label import FAKE, REAL
from dualface.manifest import Video, checked

METHOD = "DeepFakeDetection"
ORIGINALS, FAKES = 363, 3068  # of the full set, at each quality
FFPP_FOLDERS = ("original_sequences/youtube/", *(f"manipulated_sequences/{method}/" for method in ffpp.METHODS))
SCENE = r"(?P<scene>[a-z]+(?:_[a-z]+)*)"
ORIGINAL = re.compile(rf"original_sequences/actors/{QUALITY}/videos/(?P<clip>(?P<actor>[0-9]{{2}})__{SCENE})\.mp4")
MANIPULATED = re.compile(
    rf"manipulated_sequences/{METHOD}/{QUALITY}/videos/"
    rf"(?P<clip>(?P<target>[0-9]{{2}})_(?P<donor>[0-9]{{2}})__{SCENE}__[A-Z0-9]{{8}})\.mp4"
)


def inventory(root: Path, *, qualities: tuple[str, ...] = ()) -> Inventory:
    """List the videos that are there; a partial download is fine.

    Args:
        root: the folder that holds `original_sequences` and `manipulated_sequences`.
        qualities: compression levels to take, of `faceforensics.QUALITIES`; none named = all present.

    Raises:
        NoVideos: no video of the layout is there.
        ListingError: none of a quality that was asked for.
    """
    files = disk.video_files(root)
    found = [video for path, count in files.items() if (video := parsed(path, count))]
    if not found:
        raise NoVideos(
            f"{root}: no DFD video; looked for original_sequences/actors/c23/videos/01__exit_phone_room.mp4 and "
            "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4: ROOT is the "
            "folder that holds original_sequences and manipulated_sequences"
        )
    taken = faceforensics.chosen(found, qualities=qualities, root=root)
    notes, unlisted = faceforensics.sorted_out(
        files.keys() - {video.path for video in found}, other="FaceForensics++", command="ffpp", folders=FFPP_FOLDERS
    )
    return Inventory(
        root,
        checked(taken, where=str(root)),
        notes=(*faceforensics.choice_notes(found, taken), *notes),
        title=f"DFD at {faceforensics.joined(faceforensics.present(taken))}",
        groups=tuple(groups(taken)),
        unlisted=tuple(unlisted),
    )


def groups(taken: list[Video]) -> list[Group]:
    """Compare with the full set, by count: at each quality that is there, originals and fakes.

    Of the originals that are missing, those can be named that a fake was made from.
    """
    made_from = {one.source_key.removeprefix(f"actors-{one.quality}-") for one in taken if one.source_key}
    return [
        group
        for quality in faceforensics.present(taken)
        for group in (
            by_count(
                f"original {quality}",
                expected=ORIGINALS,
                there=faceforensics.names(taken, method=None, quality=quality),
                known=[f"{clip}.mp4" for clip in made_from],
            ),
            by_count(
                f"{METHOD} {quality}",
                expected=FAKES,
                there=faceforensics.names(taken, method=METHOD, quality=quality),
            ),
        )
    ]


def parsed(path: str, count: int) -> Video | None:
    """Read a video's row off its path relative to the root; None where the layout has no such path."""
    if match := ORIGINAL.fullmatch(path):
        return Video(
            key=f"actors-{match['quality']}-{match['clip']}",
            dataset="dfd",
            path=path,
            bytes=count,
            label=REAL,
            identities=(f"actor-{match['actor']}",),
            quality=match["quality"],
        )
    if match := MANIPULATED.fullmatch(path):
        return Video(
            key=f"{METHOD}-{match['quality']}-{match['clip']}",
            dataset="dfd",
            path=path,
            bytes=count,
            label=FAKE,
            identities=(f"actor-{match['target']}", f"actor-{match['donor']}"),
            source_key=f"actors-{match['quality']}-{match['target']}__{match['scene']}",
            method=METHOD,
            quality=match["quality"],
        )
    return None
