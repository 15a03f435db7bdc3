"""Small videos made for tests, and a detector that finds the faces drawn into them."""

from pathlib import Path

import av
import cv2
import numpy as np

from dualface.frame import Converters, Frame


def write_clip(path: Path, frames: list[np.ndarray], *, key_every: int = 10, **container_options: str) -> Path:
    """Encode `(H, W, 3)` uint8 RGB frames as H.264 at 25 frames per second; the name's ending says in what."""
    with av.open(f"file:{path}", "w", options=container_options) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "12"})
        stream.pix_fmt = "yuv420p"
        stream.gop_size = key_every
        stream.height, stream.width = frames[0].shape[:2]
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


def still(rgb: np.ndarray, *, index: int = 0) -> Frame:
    """Make a frame of `(H, W, 3)` uint8 RGB, without a video."""
    return Frame(index, av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"), Converters())


def grey_steps(count: int) -> list[np.ndarray]:
    """Frames that tell their number: frame i is grey of level 20 + 4 i, with some texture."""
    texture = np.random.default_rng(0).integers(-9, 10, (96, 128, 1))
    return [np.repeat(np.clip(20 + 4 * i + texture, 0, 255), 3, axis=2).astype(np.uint8) for i in range(count)]


def picture(*faces: tuple[int, int, int], tint: tuple[int, int, int] = (255, 240, 220)) -> np.ndarray:
    """A dark 320 x 200 picture with bright squares for faces: left, top, side."""
    rgb = np.full((200, 320, 3), 30, dtype=np.uint8)
    for left, top, side in faces:
        rgb[top : top + side, left : left + side] = tint
    return rgb


def bright_squares(grey: np.ndarray) -> np.ndarray:
    """Stands in for dlib: boxes of the bright areas, `(K, 4)` int32."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((grey > 120).astype(np.uint8))
    found = [(x, y, x + width, y + height) for x, y, width, height, area in stats[1:] if area >= 100]
    return np.array(found, dtype=np.int32).reshape(-1, 4)
