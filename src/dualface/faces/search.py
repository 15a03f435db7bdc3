"""Which frames of a video are searched for faces, and what stands in the frames between.

Measured with HOG on 47 clips (34 of FF++ at c23 and c40, one of DFDC, 12 in odd containers), 15,565 frames, against a
search of every frame: stride 10 runs the detector on 11.4 % of the frames, stride 5 on 21.0 %; no face of the people
followed is lost, 16 and 11 that HOG missed are filled in. HOG's boxes jump by a scale step on a still face (overlap
0.69), so raw ones say little: 75 % overlap by more than 0.9 at stride 10, 84 % at stride 5. Of boxes smoothed over 40
frames to each side (`smooth`) 99.3 % and 99.9 % do.

Motion alone, with boxes nearly free of that noise (HOG's mean over 12 shifts and scales, eight clips) and the clips
sped up by leaving out frames, stride 10:

    speed                                             1x       2x       3x
    frames searched                                   11.1 %   14.4 %   18.9 %
    boxes that overlap by more than 0.9               99.2 %   95.4 %   89.0 %
    the same without the rule for restless faces      98.6 %   89.3 %   74.5 %
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from dualface.faces.detect import Detector, area, largest, overlap
from dualface.frame import Frame

# Overlap (intersection over union) from which boxes of two frames are one face. One scale step of HOG is 0.69, with a
# shift 0.65: at 0.6 they add 1 % to the searches, at 0.69 a quarter.
MATCH = 0.6
MATTERS = 0.25  # of the largest area: a smaller face, or false alarm, is not worth a search
# Change of the picture from one frame to the next, in standard deviations of its grey levels: motion was at most
# 0.20, cuts between and within scenes at least 0.30. A false cut costs two searches, a missed one a wrong box.
CUT = 0.22
# The same at the place of a face, summed over the frames between. At 1.75 it adds 4 % to the searches of these clips.
RESTLESS = 1.75
MOST_WAITING = 36 * 10**6  # bytes of frames that are read ahead: 11 of 1920 x 1080, but 2 of 3840 x 2160
LEAST_CONTRAST = 12.0  # grey levels: noise in the dark is no change

Faces = list[np.ndarray]


@dataclass(frozen=True)
class _Seen:
    """What was found in one frame, without the frame: that may be large.

    Attributes:
        place: of the frame, counted in frames that came.
        index: of the frame in the source.
        shape: height and width of the frame in px.
        thumbnail: `(h, w)` uint8 grey, the whole frame.
        faces: `(4,)` int32 boxes, the largest first.
    """

    place: int
    index: int
    shape: tuple[int, ...]
    thumbnail: np.ndarray
    faces: Faces


def search(frames: Iterable[Frame], *, detect: Detector, stride: int) -> Iterator[tuple[Frame, Faces]]:
    """Find the faces of every frame, with a detector that runs on few of them.

    It runs on every `stride`-th frame that comes, on the last, and on both sides of a cut. Where two such frames
    agree (each face that matters overlaps one of the other's, and little moves there in between), the boxes between
    are interpolated by frame number. Where they don't, the frame in the middle is searched too, and so on down to
    neighbours. So a face that comes, goes or is missed costs a few searches and no frame. Only what is seen in none
    of the searched frames is not found: a face can stay unnoticed for less than `stride` frames.

    Args:
        frames: in the order of the video. They are read when they are needed, at most `stride` frames ahead of the
            one that is yielded, or a batch of the detector where that is more. Pixels of frames that are not
            searched are not touched, and no frame is kept once it was yielded.
        detect: the detector.
        stride: 1 searches every frame: the reference. Of large frames, so many are skipped as may wait in memory.

    Yields:
        Each frame, in order, with the boxes of at most MOST_FACES faces, `(4,)` int32, the largest first.
    """
    source = iter(frames)
    segments = max(1, detect.batch // stride)
    left: _Seen | None = None
    first, count = 0, 1 + (segments - 1) * stride  # so the frames that are read at once end on the grid
    while waiting := dict(enumerate(_read(source, count), start=first)):
        first += len(waiting)
        places = sorted(waiting) if stride == 1 else _places(waiting, left, stride=stride)
        for right in _detected(places, waiting, detect=detect):
            if left is not None:
                yield from _between(left, right, waiting=waiting, detect=detect)
            yield waiting.pop(right.place), right.faces
            left = right
        count = segments * stride - (first - 1) % stride


def _read(source: Iterator[Frame], count: int) -> Iterator[Frame]:
    """Read so many frames, or fewer where they are large."""
    waiting = 0
    for frame in islice(source, count):
        waiting += frame.bytes
        yield frame
        if waiting + frame.bytes > MOST_WAITING:
            return


def _places(waiting: dict[int, Frame], left: _Seen | None, *, stride: int) -> list[int]:
    """Choose what is searched at once: the frames of the grid, the last one, and both sides of each cut."""
    chosen = {place for place in waiting if place % stride == 0} | {max(waiting)}
    before = left.thumbnail if left else None
    for place, frame in waiting.items():
        if before is not None and _is_cut(before, frame.thumbnail):
            chosen |= {place - 1, place}
        before = frame.thumbnail
    return sorted(chosen & waiting.keys())


def _is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    if before.shape != after.shape:  # the picture was turned
        return True
    change = np.abs(before.astype(np.int16) - after).mean()
    return bool(change > CUT * max(before.std(), after.std(), LEAST_CONTRAST))


def _detected(places: Sequence[int], waiting: dict[int, Frame], *, detect: Detector) -> Iterator[_Seen]:
    for start in range(0, len(places), detect.batch):
        batch = places[start : start + detect.batch]
        for place, boxes in zip(batch, detect([waiting[one] for one in batch]), strict=True):
            yield _seen(place, waiting[place], boxes)


def _seen(place: int, frame: Frame, boxes: np.ndarray) -> _Seen:
    return _Seen(place, frame.index, frame.shape, frame.thumbnail, largest(boxes))


def _between(
    left: _Seen, right: _Seen, *, waiting: dict[int, Frame], detect: Detector
) -> Iterator[tuple[Frame, Faces]]:
    """Yield the frames between two that were searched."""
    places = range(left.place + 1, right.place)
    if not places:
        return
    thumbnails = [left.thumbnail, *(waiting[place].thumbnail for place in places), right.thumbnail]
    pairs = _agreed(left, right, thumbnails=np.stack(thumbnails).astype(np.int16))
    if pairs is None:
        (middle,) = _detected([(left.place + right.place) // 2], waiting, detect=detect)
        yield from _between(left, middle, waiting=waiting, detect=detect)
        yield waiting.pop(middle.place), middle.faces
        yield from _between(middle, right, waiting=waiting, detect=detect)
        return
    for place in places:
        share = (waiting[place].index - left.index) / (right.index - left.index)
        faces = [np.rint(one + share * (other - one)).astype(np.int32) for one, other in pairs]
        yield waiting.pop(place), sorted(faces, key=area, reverse=True)


def _agreed(left: _Seen, right: _Seen, *, thumbnails: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Pair the faces of two frames; None if one that matters has no partner, or is restless in between."""
    if left.shape != right.shape:
        return None
    overlaps = [(float(overlap(a, b)), i, j) for i, a in enumerate(left.faces) for j, b in enumerate(right.faces)]
    partner: dict[int, int] = {}
    for share, i, j in sorted(overlaps, key=lambda one: (-one[0], *one[1:])):
        if share >= MATCH and i not in partner and j not in partner.values():
            partner[i] = j
    alone = [box for i, box in enumerate(left.faces) if i not in partner]
    alone += [box for j, box in enumerate(right.faces) if j not in partner.values()]
    pairs = [(left.faces[i], right.faces[j]) for i, j in sorted(partner.items())]
    large = MATTERS * max(map(area, [*left.faces, *right.faces]), default=0)
    if any(area(box) >= large for box in alone):
        return None
    matter = [pair for pair in pairs if max(map(area, pair)) >= large]
    return None if any(_is_restless(*pair, shape=left.shape, thumbnails=thumbnails) for pair in matter) else pairs


def _is_restless(one: np.ndarray, other: np.ndarray, *, shape: tuple[int, ...], thumbnails: np.ndarray) -> bool:
    """Say whether much changes between two boxes of a face, so that it need not have gone straight."""
    scale = np.array(thumbnails.shape[1:]) / shape
    top_left = np.maximum(0, np.floor(np.minimum(one[:2], other[:2])[::-1] * scale)).astype(int)
    bottom_right = np.ceil(np.maximum(one[2:], other[2:])[::-1] * scale).astype(int)
    there = thumbnails[:, top_left[0] : bottom_right[0], top_left[1] : bottom_right[1]]
    if not there.size:  # the box lies outside the picture
        return False
    change = np.abs(np.diff(there, axis=0)).mean(axis=(1, 2)).sum()
    return bool(change > RESTLESS * max(there.std(), LEAST_CONTRAST))
