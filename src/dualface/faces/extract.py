"""From one video file to the faces of its main person, or to the reason why there are none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dualface import video
from dualface.errors import VideoUnreadable
from dualface.faces import crop, track
from dualface.faces.detect import Detect, largest
from dualface.ledger import WITH_FACES


@dataclass(frozen=True)
class Extract:
    """What came of one video.

    Attributes:
        outcome: one of `ledger.OUTCOMES`.
        reason: what went wrong, in words; empty for `ok`.
        frames: frames that were decoded and searched.
        faces: `(N, S, S, 3)` uint8, RGB crops in the order of the video; N = 0 unless `ok` or `damaged`.
        index: `(N,)` int32, source frame numbers, ascending.
        boxes: `(N, 4)` int32, detected box in the source frame: left, top, right, bottom, px.
        meta: `width` and `height` of the upright frame in px, `frames` as above, `fps` by the time stamps.
    """

    outcome: str
    reason: str
    frames: int
    faces: np.ndarray
    index: np.ndarray
    boxes: np.ndarray
    meta: dict[str, Any]


def extract(
    path: Path, *, detect: Detect, input_size: int, crop_scale: float, max_frames: int | None, min_faces: int
) -> Extract:
    """Follow the main person through a video and cut out the first faces of theirs.

    Every frame is searched. The main person has the largest total area of boxes so far. Decoding stops at the
    first frame at which that person has `max_frames` faces: what comes later could only matter by someone else
    outgrowing them, and is not waited for.

    Args:
        path: the video file.
        detect: finds faces in a grey picture.
        input_size: S, side of a crop in pixels.
        crop_scale: side of a crop over the longer side of the detected box, before it is resized.
        max_frames: at most this many faces are kept, from the start; None keeps all, and memory grows with the video.
        min_faces: a video with fewer faces of its main person is `too_few_faces`.

    Raises:
        OSError: the file can't be read; a file that is no video is an outcome, not an error.
    """
    tracks: list[track.Track] = []
    try:
        with video.opened(path) as clip:
            for index, rgb in clip:
                boxes = largest(detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)))
                for box, person in zip(boxes, track.link(tracks, index, boxes), strict=True):
                    face = crop.cut(rgb, box, crop_scale=crop_scale, input_size=input_size)
                    person.add(index, box, face, most=max_frames)
                if max_frames is not None and boxes and _enough(tracks, max_frames):
                    break
    except VideoUnreadable as error:
        reason = str(error).removeprefix(f"{path}: ")
        return _without_faces("unreadable", reason, frames=0, input_size=input_size, meta={})
    meta = {"width": clip.width, "height": clip.height, "frames": clip.frames, "fps": clip.fps}
    outcome, reason = _judged(tracks, clip, min_faces=min_faces)
    if outcome not in WITH_FACES:
        return _without_faces(outcome, reason, frames=clip.frames, input_size=input_size, meta=meta)
    return Extract(outcome, reason, clip.frames, *_arrays(tracks, max_frames), meta=meta)


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


def _arrays(tracks: list[track.Track], max_frames: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # A track keeps fewer crops than frame numbers when it went on after it was full; its first ones suffice.
    kept = [item for one in track.main(tracks) for item in zip(one.index, one.boxes, one.faces, strict=False)]
    kept = sorted(kept, key=lambda item: item[0])[:max_frames]
    index, boxes, faces = zip(*kept, strict=True)
    return np.stack(faces), np.array(index, dtype=np.int32), np.stack(boxes)


def _without_faces(outcome: str, reason: str, *, frames: int, input_size: int, meta: dict[str, Any]) -> Extract:
    return Extract(
        outcome,
        reason,
        frames,
        faces=np.zeros((0, input_size, input_size, 3), dtype=np.uint8),
        index=np.zeros(0, dtype=np.int32),
        boxes=np.zeros((0, 4), dtype=np.int32),
        meta=meta,
    )
