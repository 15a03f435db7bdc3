"""From one video file to the faces of its main people, or to the reason why there are none."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dualface import video
from dualface.errors import VideoRefused, VideoUnreadable
from dualface.faces import crop, track
from dualface.faces.detect import Detector
from dualface.faces.search import search
from dualface.faces.smooth import smoothed
from dualface.faces.spill import Crops, Spill
from dualface.ledger import WITH_FACES


@dataclass(frozen=True)
class Person:
    """The kept faces of one person.

    Attributes:
        faces: N crops, `(N, S, S, 3)` uint8, in the order of the video; still in the spill.
        index: `(N,)` int32, source frame numbers, ascending.
        boxes: `(N, 4)` int32, the box by which each was cut: left, top, right, bottom, px.
    """

    faces: Crops
    index: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Extract:
    """What came of one video.

    Attributes:
        outcome: one of `ledger.OUTCOMES`.
        reason: what went wrong, in words; empty for `ok`.
        people: the main person first; nobody unless `ok` or `damaged`.
        frames: frames that were decoded.
        seconds: of video up to the last frame that was read, by its time stamps.
        meta: `width` and `height` of the upright frame in px, `frames` as above, `fps` by the time stamps.
    """

    outcome: str
    reason: str
    people: list[Person] = field(default_factory=list)
    frames: int = 0
    seconds: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What is taken from a video.

    Attributes:
        crop_scale: side of a crop over the longer side of the box, before it is resized to the spill's size.
        max_frames: at most this many faces of a person are kept, from the start.
        min_faces: a video with fewer faces of its main person is `too_few_faces`; others with fewer are left out.
        people: so many people are kept, the main one first.
        stride: every how many frames are searched; boxes between are interpolated.
        smooth: over how many frames to each side a box is averaged before the cut.
    """

    crop_scale: float
    max_frames: int
    min_faces: int
    people: int = 1
    stride: int = 1
    smooth: int = 0


def extract(path: Path, *, detect: Detector, wanted: Wanted, limits: video.Limits, spill: Spill) -> Extract:
    """Follow the people of a video and cut out the first faces of the main ones.

    The main person has the largest total area of boxes so far. Decoding stops at the first frame at which that
    person has `max_frames` faces: what comes later could only matter by someone else outgrowing them, and is not
    waited for.

    Args:
        path: the video file.
        detect: finds faces in frames.
        wanted: what is taken.
        limits: what the video may ask of the machine.
        spill: takes the crops, at its size.

    Raises:
        OSError: the file can't be read; a file that is no video is an outcome, not an error.
    """
    try:
        with video.opened(path, limits=limits) as clip:
            tracks = _followed(clip, detect, wanted, spill)
        outcome, reason = _judged(tracks, clip, min_faces=wanted.min_faces)
        people = _people(tracks, wanted, spill) if outcome in WITH_FACES else []
        if wanted.smooth and people:
            people = _smoothed(people, path, wanted, limits, spill)
    except (VideoUnreadable, VideoRefused) as error:
        outcome = "refused" if isinstance(error, VideoRefused) else "unreadable"
        return Extract(outcome, str(error).removeprefix(f"{path}: "))
    meta = {"width": clip.width, "height": clip.height, "frames": clip.frames, "fps": clip.fps}
    return Extract(outcome, reason, people, clip.frames, clip.seconds, meta)


def _followed(clip: video.Clip, detect: Detector, wanted: Wanted, spill: Spill) -> list[track.Track]:
    """Search the clip until there are enough faces, and cut them out."""
    tracks: list[track.Track] = []
    for frame, boxes in search(clip, detect=detect, stride=wanted.stride):
        for box, person in zip(boxes, track.link(tracks, frame.index, boxes), strict=True):
            person.see(frame.index, box)
            if len(person.cuts) < wanted.max_frames:
                face = crop.cut(frame, box, crop_scale=wanted.crop_scale, input_size=spill.side)
                person.keep(track.Cut(frame.index, box, spill.add(face)), face)
        if boxes and _enough(tracks, wanted.max_frames):
            break
    return tracks


def _smoothed(people: list[Person], path: Path, wanted: Wanted, limits: video.Limits, spill: Spill) -> list[Person]:
    """Cut the people out again, by smoothed boxes.

    A box is smoothed by many frames to each side. To decode the video twice costs little beside the search, and
    takes no memory for frames that wait.
    """
    plan: defaultdict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for number, one in enumerate(people):
        for at, index in enumerate(one.index):
            plan[int(index)].append((number, smoothed(one.index, one.boxes, at=at, window=wanted.smooth)))
    cuts: list[list[tuple[int, np.ndarray]]] = [[] for _ in people]
    with video.opened(path, limits=limits) as clip:
        for frame in clip:
            for number, box in plan.pop(frame.index, ()):
                face = crop.cut(frame, box, crop_scale=wanted.crop_scale, input_size=spill.side)
                cuts[number].append((spill.add(face), box))
            if not plan:
                break
    if plan:
        raise VideoUnreadable(f"{path}: did not decode the same twice")
    again = [zip(*one, strict=True) for one in cuts]
    return [
        Person(Crops(spill, numbers), one.index, np.stack(boxes))
        for one, (numbers, boxes) in zip(people, again, strict=True)
    ]


def _enough(tracks: list[track.Track], max_frames: int) -> bool:
    if sum(len(one.index) for one in tracks) < max_frames:
        return False
    return sum(len(one.index) for one in track.main(tracks)) >= max_frames


def _judged(tracks: list[track.Track], clip: video.Clip, *, min_faces: int) -> tuple[str, str]:
    damage = f"; {clip.damage}" if clip.damage else ""
    if not tracks:
        return "no_face", f"no face in {clip.frames} frames{damage}"
    count = sum(len(one.index) for one in track.main(tracks))
    if count < min_faces:
        return "too_few_faces", f"{count} of at least {min_faces} faces, in {clip.frames} frames{damage}"
    return ("damaged", clip.damage) if damage else ("ok", "")


def _people(tracks: list[track.Track], wanted: Wanted, spill: Spill) -> list[Person]:
    found = []
    for tracks_of_one in track.people(tracks, most=wanted.people):
        cuts = sorted((cut for one in tracks_of_one for cut in one.cuts), key=lambda cut: cut.frame)
        if len(cuts) >= wanted.min_faces:
            index, boxes, crops = zip(*cuts[: wanted.max_frames], strict=True)
            found.append(Person(Crops(spill, crops), np.array(index, dtype=np.int32), np.stack(boxes)))
    return found
