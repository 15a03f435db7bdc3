"""Self-blended faces: training fakes made of real videos alone, for where fakes are few.

Differs from the paper: it knows no such thing. The idea is that of Shiohara & Yamasaki, "Detecting Deepfakes with
Self-Blended Images" (CVPR 2022), who take the blended region from landmarks. Here it is a random convex region about
the middle of the crop, since shards hold no landmarks, and one alteration holds for a whole window, since a swap alters
all frames of a video alike.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 64  # px, of the face that lengths below are given for; they grow with the face
JITTER = 0.3  # of position, px, and of the turn, degrees, from face to face


@dataclass(frozen=True)
class Alteration:
    """How the blended copies of a window differ from its faces.

    Attributes:
        tint: `(3,)` added to the colours, of 255.
        contrast: factor about middle grey.
        blur: standard deviation of a Gaussian, px; 0 = none.
        sharpen: share of what a blur takes away that is added; 0 = none.
        noise: standard deviation, of 255.
        turn: degrees.
        scale: factor.
        shift: `(2,)` to the right and down, px.
        outside: whether the face outside of the region is altered, not that within.
    """

    tint: np.ndarray
    contrast: float
    blur: float
    sharpen: float
    noise: float
    turn: float
    scale: float
    shift: np.ndarray
    outside: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Alteration":
        """Draw one; lengths are for faces of `SIDE` px."""
        blur = rng.uniform(0.2, 1.5) if rng.random() < 0.7 else 0.0
        return cls(
            tint=rng.normal(0, rng.uniform(1, 9), 3),
            contrast=rng.uniform(0.9, 1.1),
            blur=blur,
            sharpen=0.0 if blur else rng.uniform(0, 1),
            noise=rng.uniform(0, 3) if rng.random() < 0.4 else 0.0,
            turn=rng.normal(0, 3),
            scale=rng.normal(1, 0.05),
            shift=rng.normal(0, 1.5, 2),
            outside=not blur and rng.random() < 0.5,
        )

    def applied(self, face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an altered copy of a `(S, S, 3)` float32 face in [0, 255]; it may leave the range."""
        side = len(face)
        unit = side / SIDE
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), self.turn + rng.normal(0, JITTER), self.scale)
        matrix[:, 2] = matrix[:, 2] + unit * (self.shift + rng.normal(0, JITTER, 2))
        altered = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        altered = (altered - 128) * self.contrast + 128 + self.tint.astype(np.float32)
        if self.blur:
            altered = cv2.GaussianBlur(altered, (0, 0), self.blur * unit)
        if self.sharpen:
            altered = altered + self.sharpen * (altered - cv2.GaussianBlur(altered, (0, 0), unit))
        if self.noise:
            altered = altered + self.noise * rng.standard_normal(altered.shape, dtype=np.float32)
        return np.asarray(altered, dtype=np.float32)


def self_blended(faces: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Blend a real video's faces with altered copies of themselves: moved, tinted, softened or sharpened.

    That leaves what a swap leaves behind (a seam, another colour, another sharpness), without another face.

    Args:
        faces: `(n, S, S, 3)` uint8, faces of one window.
        rng: of what is altered, and how.

    Returns:
        `(n, S, S, 3)` uint8; each is to be labelled FAKE.
    """
    mask = (_region(faces.shape[1], rng) * rng.uniform(0.4, 1))[..., None]
    alteration = Alteration.drawn(rng)
    blended = np.empty_like(faces)
    for number, face in enumerate(faces.astype(np.float32)):
        altered = alteration.applied(face, rng)
        under, over = (altered, face) if alteration.outside else (face, altered)
        blended[number] = np.clip(np.rint(under + mask * (over - under)), 0, 255)
    return blended


def _region(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a convex region with a soft border about the middle of a face: `(side, side)` float32 in [0, 1]."""
    unit = side / SIDE
    centre = side / 2 + unit * rng.uniform((-4, -3), (4, 6))
    half = unit * rng.uniform((12, 14), (24, 27))
    angle, radius = rng.uniform(0, 2 * np.pi, 14), rng.uniform(0.8, 1.1, 14)
    corners = centre + half * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    mask = np.zeros((side, side), dtype=np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(corners).astype(np.int32)), 1.0)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), unit * rng.uniform(0.4, 4)))
