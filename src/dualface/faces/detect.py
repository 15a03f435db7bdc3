"""Where faces are in one picture: dlib's frontal HOG detector."""

from collections.abc import Callable
from functools import lru_cache

import dlib
import numpy as np

MOST_FACES = 4  # of one frame that are looked at, the largest: a crowd must not cost memory

Detect = Callable[[np.ndarray], np.ndarray]
"""Takes `(H, W)` uint8 grey; returns `(K, 4)` int32 boxes: left, top, right, bottom (exclusive), px."""


@lru_cache  # dlib takes half a second to unpack it, and a worker asks for it once per video
def hog(upsample: int) -> Detect:
    """Make the paper's detector (Sec. 4.2.1). It sees frontal faces from about 80 px, on grey at full size.

    Args:
        upsample: doublings of the picture before detection; each halves the smallest face and costs 4x the time.

    Returns:
        A detector whose boxes are as dlib gives them: they can reach over the edge of the picture.
    """
    detector = dlib.get_frontal_face_detector()

    def detect(grey: np.ndarray) -> np.ndarray:
        found = [(one.left(), one.top(), one.right() + 1, one.bottom() + 1) for one in detector(grey, upsample)]
        return np.array(found, dtype=np.int32).reshape(-1, 4)

    return detect


def area(box: np.ndarray) -> int:
    """Return the area of a box in square pixels."""
    return int(box[2] - box[0]) * int(box[3] - box[1])


def largest(boxes: np.ndarray) -> list[np.ndarray]:
    """Return the MOST_FACES largest boxes, the largest first; equals are ordered by their place."""
    return sorted(boxes, key=lambda box: (-area(box), *box.tolist()))[:MOST_FACES]
