"""Decode local video files, frame by frame, and tell truly what could be decoded.

Every frame counts as decoded only when it came out of the decoder sound; what a container claims about the
number of its frames is never believed. The file is opened here and handed over as bytes: no name and no
playlist inside a file can make the libraries open anything else.
"""

import math
from bisect import bisect, insort
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dualface.errors import VideoRefused, VideoUnreadable
from dualface.frame import Converters, Frame

# Containers of videos only. Playlists and lists (hls, concat, dash, ...) are read by name, so they would name others.
FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,ivf,nut,h264,hevc,m4v,obu,yuv4mpegpipe"
# A file's claimed duration is rounded, or that of its sound: only a large gap tells that the file was cut off.
CUT_SECONDS = 0.5
CUT_SHARE = 0.1
PASSED_OVER = 4096  # bytes between two packets that no packet claims; headers between them take less
MOST_SKIPPED = 1_000_000  # frames; time stamps that say more are broken themselves


@dataclass(frozen=True)
class Limits:
    """What a video may ask of the machine, whatever its header claims.

    Attributes:
        pixels: of one frame.
        frames: that are decoded of one video.
    """

    pixels: int
    frames: int


class Clip:
    """An open video; iterate over it once to get each sound `Frame`.

    Attributes (as far as the clip has been iterated over):
        frames: sound frames.
        spoiled: frames that the decoder marked as corrupt, or that follow a loss before the next key frame. They
            are not yielded: a smeared face is no evidence, and the smear spreads from frame to frame.
        lost: packets from which nothing could be decoded.
        skipped: frames that must have been where a container's reader passed over a broken part without a word: the
            time stamps leave a hole there, and so do the bytes. Counted by the frame rate, so only about right.
        cut: seconds decoded and seconds declared, where the file ends long before it should; else None.
        width, height: of the first sound frame as shown, in pixels; 0 before it.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.frames = self.spoiled = self.lost = self.skipped = 0
        self.cut: tuple[float, float] | None = None
        self.width = self.height = 0
        self._container, self._stream = container, stream
        self._converters = Converters()
        self._first, self._last, self._end = math.inf, -math.inf, -math.inf
        self._lost_at: list[int] = []
        self._passed_at: list[float] = []  # seconds
        self._losses_before = self._passed_before = 0
        self._smeared = False
        self._next = 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the sound frames.

        Raises:
            VideoUnreadable: at the end, if there was none.
            VideoRefused: there are more frames than the limit.
        """
        for packet in self._packets():
            for frame in self._decoded(packet):
                index = self._number(frame)
                self._clock(frame)
                if self.frames + self.spoiled >= self.limits.frames:
                    told = f"has more than {self.limits.frames:,} frames (faces.limit_frames)"
                    raise VideoRefused(f"{self.path}: {told}")
                if self._smeared:
                    self.spoiled += 1
                else:
                    self.frames += 1
                    yield self._shown(Frame(index, frame, self._converters))
        if not self.frames:
            raise VideoUnreadable(f"{self.path}: {self._why_nothing()}")
        self.cut = self._missing()

    @property
    def damage(self) -> str:
        """Say in words what did not decode; empty where all did."""
        reasons = []
        if gone := self.spoiled + self.lost + self.skipped:
            about = "about " if self.skipped else ""
            reasons.append(f"decoded {self.frames} of {about}{self.frames + gone} frames")
        if self.cut:
            reasons.append(f"the file ends after {self.cut[0]:.1f} of {self.cut[1]:.1f} s")
        return "; ".join(reasons)

    @property
    def seconds(self) -> float:
        """Length of what was decoded so far, by its time stamps; 0 where it has none."""
        length = self._end - self._first
        return round(length, 3) if 0 < length < math.inf else 0.0

    @property
    def fps(self) -> float | None:
        """Frames per second by the time stamps of the frames so far; None where they have none."""
        span = self._last - self._first
        return round((self.frames + self.spoiled + self.skipped - 1) / span, 3) if 0 < span < math.inf else None

    def _packets(self) -> Iterator[Any]:
        read = None  # up to which byte
        try:
            for packet in self._container.demux():
                if packet.pos is not None:
                    if read is not None and packet.pos - read > PASSED_OVER and packet.dts is not None:
                        insort(self._passed_at, float(packet.dts * packet.time_base))
                    read = packet.pos + packet.size
                if packet.stream.index == self._stream.index:
                    yield packet
        except av.FFmpegError:
            self.lost += 1  # the container breaks off here: at least one packet is missing

    def _decoded(self, packet: Any) -> list[VideoFrame]:
        try:
            return list(packet.decode())
        except av.FFmpegError:
            self.lost += 1
            insort(self._lost_at, packet.pts or 0)
            return []

    def _number(self, frame: VideoFrame) -> int:
        # Frames leave the decoder later than their packets enter it: only losses before this frame's time count.
        losses = bisect(self._lost_at, frame.pts or 0)
        hole = self._hole(frame, losses - self._losses_before)
        self.skipped += hole
        smeared = self._smeared or losses > self._losses_before or hole > 0
        self._smeared = frame.is_corrupt or (smeared and not frame.key_frame)
        self._losses_before = losses
        index = max(self._next, self.frames + self.spoiled + self.skipped + losses)
        self._next = index + 1
        return index

    def _hole(self, frame: VideoFrame, lost: int) -> int:
        """Say how many frames must have been between the last one and this, beside those known to be lost."""
        rate = self._stream.average_rate
        if frame.time is None or not rate or not math.isfinite(self._end):
            return 0
        passed = bisect(self._passed_at, frame.time)
        passed, self._passed_before = passed - self._passed_before, passed
        if not passed:
            return 0  # nothing was there: a pause of a variable rate
        gap = frame.time - self._end
        if not CUT_SECONDS < gap < MOST_SKIPPED / rate:
            return 0
        return min(max(0, round(gap * rate) - lost), MOST_SKIPPED - self.skipped)

    def _shown(self, frame: Frame) -> Frame:
        if not self.width:
            self.height, self.width = frame.shape
        return frame

    def _clock(self, frame: VideoFrame) -> None:
        if frame.time is None or frame.time_base is None:
            return
        self._first = min(self._first, frame.time)
        self._last = max(self._last, frame.time)
        self._end = max(self._end, frame.time + float((frame.duration or 0) * frame.time_base))

    def _missing(self) -> tuple[float, float] | None:
        declared, decoded = _declared_seconds(self._container, self._stream), self._end - self._first
        if declared is None or not math.isfinite(decoded):
            return None
        return (decoded, declared) if declared - decoded > max(CUT_SECONDS, CUT_SHARE * declared) else None

    def _why_nothing(self) -> str:
        if self.spoiled:
            return f"all {self.spoiled} frames came out damaged"
        return f"none of {self.lost} packets could be decoded" if self.lost else "its video stream holds no frames"


@contextmanager
def opened(path: Path, *, limits: Limits) -> Iterator[Clip]:
    """Open a local video file, decoding in one thread.

    Raises:
        VideoRefused: its frames have more pixels than the limit.
        VideoUnreadable: it is empty, no regular file, no video container, or has no video stream or decoder.
        OSError: the file system refuses to read it.
    """
    if not path.is_file() and path.exists():
        raise VideoUnreadable(f"{path}: not a regular file")
    with path.open("rb") as file:
        if not file.read(1):
            raise VideoUnreadable(f"{path}: the file is empty")
        file.seek(0)
        with _container(file, path) as container:
            yield Clip(path, container, _video_stream(container, path, limits), limits)


def _container(file: Any, path: Path) -> InputContainer:
    limits = {"protocol_whitelist": "none", "format_whitelist": FORMATS}
    try:
        container: InputContainer = av.open(file, container_options=limits, metadata_errors="replace")
    except av.ArgumentError:
        raise VideoUnreadable(f"{path}: not a video, or of a container that is not read here") from None
    except av.FFmpegError:
        raise VideoUnreadable(f"{path}: not a video, or its index is missing or broken (a partial download?)") from None
    return container


def _video_stream(container: InputContainer, path: Path, limits: Limits) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise VideoUnreadable(f"{path}: holds no video stream")
    if stream.codec_context is None:
        raise VideoUnreadable(f"{path}: no decoder for its codec")
    if stream.codec_context.width * stream.codec_context.height > limits.pixels:
        shape = f"{stream.codec_context.width} x {stream.codec_context.height}"
        raise VideoRefused(f"{path}: frames of {shape}, more than faces.limit_megapixels allows ({limits.pixels:,} px)")
    stream.codec_context.thread_count = 1
    # Frames can be larger than the header says, and are coded in blocks, so a little larger than they show.
    stream.codec_context.options = {"max_pixels": str(limits.pixels + limits.pixels // 16 + 2**16)}
    return stream


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration that the file claims for its pictures, None where it claims none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    text = stream.metadata.get("DURATION", "")  # Matroska's tag: 00:00:03.000000000
    parts = text.split(":")
    if len(parts) == 3 and all(part.replace(".", "", 1).isdecimal() for part in parts):
        hours, minutes, seconds = (float(part) for part in parts)
        return hours * 3600 + minutes * 60 + seconds
    alone = len(container.streams) == 1 and container.duration
    return container.duration / av.time_base if alone and container.duration else None
