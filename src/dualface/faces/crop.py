"""Cut a face out of a picture, without padding and without stretching."""

import cv2
import numpy as np

from dualface.frame import Frame


def square(box: np.ndarray, *, crop_scale: float, width: int, height: int) -> tuple[int, int, int]:
    """Place the square that is cut out for a face.

    Its side is `crop_scale` times the longer side of the box (Sec. 4.2.1), at most the shorter side of the
    picture. It is centred on the box and, near an edge, shifted inside: the face keeps its scale, no pixel is
    made up, and height and width are never scaled differently.

    Args:
        box: left, top, right, bottom in pixels; may reach over the edge.
        crop_scale: side of the crop over the longer side of the box.
        width: of the picture in pixels.
        height: of the picture in pixels.

    Returns:
        Left, top and side of the square, in pixels.
    """
    left, top, right, bottom = (int(edge) for edge in box)
    side = min(round(crop_scale * max(right - left, bottom - top)), width, height)
    x = (left + right - side) // 2
    y = (top + bottom - side) // 2
    return min(max(x, 0), width - side), min(max(y, 0), height - side), side


def cut(frame: Frame, box: np.ndarray, *, crop_scale: float, input_size: int) -> np.ndarray:
    """Cut a face out and bring it to the model's size.

    Args:
        frame: of the video.
        box: left, top, right, bottom in pixels.
        crop_scale: side of the crop over the longer side of the box.
        input_size: S, the side of the result in pixels.

    Returns:
        `(S, S, 3)` uint8, averaged where the face is larger than S, cubic where it is smaller.
    """
    height, width = frame.shape
    x, y, side = square(box, crop_scale=crop_scale, width=width, height=height)
    how = cv2.INTER_AREA if side > input_size else cv2.INTER_CUBIC
    part = frame.region(left=x, top=y, right=x + side, bottom=y + side)
    face = cv2.resize(part, (input_size, input_size), interpolation=how)
    return np.asarray(face, dtype=np.uint8)
