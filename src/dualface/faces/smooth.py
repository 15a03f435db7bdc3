"""Take the jitter out of the boxes of one person.

HOG's boxes are quantised: on a still face their side jumps by a factor of 1.2 from frame to frame and their centre by
a tenth of the side. Averaging takes that away. Medians don't: they snap to one of two sizes, and of boxes smoothed at
stride 10 only 75 % overlap those smoothed at stride 1 by more than 0.9. A head moves faster than its size changes, so
the centre is taken from near frames, by a weight that falls with the square of the distance, and the size from all of
the window alike. Measured on the clips that `search` names, strides 10 and 5 against stride 1; and stride 1 against
HOG's mean over 12 shifts and scales of each frame, on eight clips, which tells how far smoothing drifts off a head:

    window     overlap > 0.9    least 1 %        against the mean: median, least 5 %, least 1 %
    0 (raw)    75.0 %, 83.7 %   0.694, 0.694     0.850, 0.740, 0.687
    20         96.0 %, 99.97 %  0.871, 0.927     0.907, 0.814, 0.771
    30         98.2 %, 99.97 %  0.892, 0.938     0.904, 0.814, 0.775
    40         99.3 %, 99.94 %  0.903, 0.947     0.900, 0.802, 0.755

A plain mean over 40 frames agrees as well between strides, and drifts: 0.729 and 0.621 for the centre alone.
"""

import numpy as np

from dualface.faces.detect import overlap

LONGEST_GAP = 10  # frames without the face, after which it may be elsewhere
JUMP = 0.4  # overlap of neighbours below which the face jumped: two scale steps of HOG are 0.48, a cut was 0.15
# A slope counts by half where it is so many standard errors; one that follows the noise would turn the ends of a track.
# So many, because HOG's noise stays the same for some frames, which the standard error does not know.
STANDS_OUT = 8.0


def smoothed(index: np.ndarray, boxes: np.ndarray, *, at: int, window: int) -> np.ndarray:
    """Smooth one box of a track by those before and after it.

    Neither a gap nor a jump is reached across. Straight, even motion and growth come through unchanged, at the ends
    of a track, too.

    Args:
        index: `(n,)` int, ascending frame numbers of one person's faces.
        boxes: `(n, 4)` their boxes: left, top, right, bottom, px.
        at: position in `index` of the box that is smoothed.
        window: how many frames before and after count; 0 leaves the box as it is.

    Returns:
        `(4,)` int32 box.
    """
    near = _run(index, boxes, at=at, window=window)
    away = (index[near] - index[at]).astype(np.float64)
    sides = boxes[near].astype(np.float64)
    centre = _level(away, (sides[:, :2] + sides[:, 2:]) / 2, weight=(1 - np.abs(away) / (window + 1)) ** 2)
    half = _level(away, (sides[:, 2:] - sides[:, :2]) / 2, weight=np.ones_like(away))
    return np.asarray(np.rint(np.concatenate([centre - half, centre + half])), dtype=np.int32)


def _run(index: np.ndarray, boxes: np.ndarray, *, at: int, window: int) -> slice:
    """Return the faces around `at` that are within the window and hang together."""
    first, last = np.searchsorted(index, [index[at] - window, index[at] + window + 1])
    gaps = np.diff(index[first:last]) - 1
    together = (gaps <= LONGEST_GAP) & (overlap(boxes[first : last - 1], boxes[first + 1 : last]) >= JUMP)
    breaks = first + 1 + np.flatnonzero(~together)  # where a new run starts
    return slice(max([first, *breaks[breaks <= at]]), min([last, *breaks[breaks > at]]))


def _level(away: np.ndarray, values: np.ndarray, *, weight: np.ndarray) -> np.ndarray:
    """Fit a line by weighted least squares, shrink its slope by its uncertainty, and read it at 0.

    Args:
        away: `(n,)` float64, distances in frames.
        values: `(n, 2)` float64.
        weight: `(n,)` float64, above 0.
    """
    share = (weight / weight.sum())[:, None]
    off = away[:, None]
    mean_off, mean = (share * off).sum(axis=0), (share * values).sum(axis=0)
    off, rest = off - mean_off, values - mean
    spread = (share * off**2).sum(axis=0)
    if len(away) == 1 or not spread:
        return np.asarray(mean)
    slope = (share * off * rest).sum(axis=0) / spread
    variance = (share * (rest - off * slope) ** 2).sum(axis=0) / spread / max(1, len(away) - 2)
    kept = slope**2 / np.maximum(slope**2 + STANDS_OUT**2 * variance, np.finfo(float).tiny)
    return np.asarray(mean - kept * slope * mean_off)
