"""One frame of a video, of which no more is converted than is asked for: a frame in waiting stays small."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

THUMBNAIL = (64, 36)
# 8-bit planes that can be cut before they are converted, and how many pixels share a colour in each direction.
PLANAR = {"yuv420p": 2, "yuvj420p": 2, "yuv444p": 1, "yuvj444p": 1}
SMALL = 1_500_000  # bytes of a frame that is sooner converted whole than cut first
MARGIN = 16  # px around a region, so that its edge is converted as in the whole picture


@dataclass(frozen=True)
class Converters:
    """What converts the frames of one video, each for one purpose: to set one up takes longer than to use it."""

    whole: VideoReformatter = field(default_factory=VideoReformatter)
    part: VideoReformatter = field(default_factory=VideoReformatter)
    reduced: VideoReformatter = field(default_factory=VideoReformatter)
    thumbnail: VideoReformatter = field(default_factory=VideoReformatter)


class Frame:
    """A sound frame, turned upright as the container's display matrix says, not deinterlaced.

    Attributes:
        index: its number in the source, counting from 0 and counting the frames that were lost.
        shape: height and width as shown, in pixels.
        bytes: what the frame takes in memory.
    """

    def __init__(self, index: int, picture: VideoFrame, converters: Converters) -> None:
        self.index = index
        self._converters = converters
        self._picture = picture
        # Counter-clockwise, as rot90's; only quarter turns occur in practice.
        self._quarter_turns = round(picture.rotation / 90) % 4
        turned = self._quarter_turns % 2
        self.shape = (picture.width, picture.height) if turned else (picture.height, picture.width)
        self.bytes = sum(plane.buffer_size for plane in picture.planes)

    @property
    def rgb(self) -> np.ndarray:
        """The whole picture, `(H, W, 3)` uint8, converted anew each time."""
        return self._upright(self._converters.whole.reformat(self._picture, format="rgb24").to_ndarray())

    def region(self, *, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Return a part of the picture, `(bottom - top, right - left, 3)` uint8: the same pixels as in `rgb`."""
        shared, (height, width) = PLANAR.get(self._picture.format.name), self.shape
        # Otherwise the whole is converted in another way.
        plain = not self._quarter_turns and not self._picture.interlaced_frame
        quick = self.bytes < SMALL and shared != 1
        if shared is None or quick or not plain or height % shared or width % shared:
            return self.rgb[top:bottom, left:right]
        x, y = (max(0, edge - MARGIN) // shared * shared for edge in (left, top))
        columns = min(-(-(right + MARGIN) // shared) * shared, width) - x
        rows = min(-(-(bottom + MARGIN) // shared) * shared, height) - y
        part = _part(self._picture, x=x, y=y, columns=columns, rows=rows, shared=shared)
        rgb = self._converters.part.reformat(part, format="rgb24").to_ndarray()
        return rgb[top - y : bottom - y, left - x : right - x]

    def reduced(self, *, halvings: int, colour: bool) -> np.ndarray:
        """Return the picture at half its size, so many times: `(h, w)` uint8 of grey, `(h, w, 3)` of colour."""
        width, height = (max(1, side >> halvings) for side in (self._picture.width, self._picture.height))
        form = "rgb24" if colour else "gray"
        converter = self._converters.reduced
        small = converter.reformat(self._picture, width, height, form, interpolation="AREA")
        return self._upright(small.to_ndarray())

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """`(36, 64)` uint8 (a picture that is turned: `(64, 36)`), grey, stretched: tells one scene from the next."""
        width, height = THUMBNAIL
        converter = self._converters.thumbnail
        small = converter.reformat(self._picture, width, height, "gray", interpolation="FAST_BILINEAR")
        return self._upright(small.to_ndarray())

    def _upright(self, picture: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(picture, self._quarter_turns))


def _part(picture: VideoFrame, *, x: int, y: int, columns: int, rows: int, shared: int) -> VideoFrame:
    """Cut a rectangle out of the planes; all four numbers are multiples of `shared`."""
    parts = []
    for number, plane in enumerate(picture.planes):
        step = shared if number else 1
        buffer: Any = plane  # it is one, though its type does not say so
        pixels = np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)
        parts.append(pixels[y // step : (y + rows) // step, x // step : (x + columns) // step])
    form = picture.format.name
    if shared == 1:
        part = VideoFrame.from_ndarray(np.stack(parts), format=form)
    else:
        flat = np.concatenate([one.ravel() for one in parts])
        part = VideoFrame.from_ndarray(flat.reshape(rows * 3 // 2, columns), format=form)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    return part
