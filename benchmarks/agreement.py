"""How well boxes at stride 5 and 10 agree with those of every frame: part of benchmarks/extraction.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import videos
from dualface.faces.detect import Detector, hog, overlap
from dualface.faces.extract import Wanted, extract
from dualface.faces.spill import Spill
from dualface.frame import Frame
from videos import FRAMES, LIMITS, line, verdict

GOAL_OVERLAP, GOAL_SHARE = 0.9, 0.99


class Remembering:
    """A detector that looks at each frame of a clip once, however often it is asked."""

    batch = 1

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._known: dict[int, np.ndarray] = {}
        self.asked = 0

    def __call__(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """Return the boxes of each frame."""
        self.asked += len(frames)
        for frame in frames:
            if frame.index not in self._known:
                (self._known[frame.index],) = self._detector([frame])
        return [self._known[frame.index] for frame in frames]


def boxes(path: Path, *, detector: Detector, stride: int, smooth: int) -> dict[int, np.ndarray]:
    """Return the main person's boxes, `(4,)` int32, by frame number."""
    wanted = Wanted(crop_scale=1.3, max_frames=FRAMES, min_faces=1, stride=stride, smooth=smooth)
    with Spill(64) as spill:
        found = extract(path, detect=detector, wanted=wanted, limits=LIMITS, spill=spill)
    if not found.people:
        raise SystemExit(f"{path}: {found.outcome}: {found.reason}")
    return dict(zip(found.people[0].index.tolist(), found.people[0].boxes, strict=True))


def overlaps(every: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> np.ndarray:
    """Return the overlap of each of every's boxes with the other's, 0 where it has none, `(N,)` float64 in [0, 1].

    Both end at 300 faces, so at different frames: those behind the first end are left out.
    """
    end = min(max(every), max(other))
    return np.array(
        [float(overlap(box, other[index])) if index in other else 0.0 for index, box in every.items() if index <= end]
    )


def measure(clips: list[Path], *, smooth: int) -> None:
    """Print the overlaps of each clip, and of all frames of all clips."""
    print(f"boxes as detected, and averaged over {smooth} frames to each side (smoothed)\n")
    print(
        line("clip", "stride", "frames searched", "faces", "only every", "only stride", "mean", "1 % below", "> 0.9",
             "smoothed: mean", "1 % below", "> 0.9", rule=True)
    )  # fmt: skip
    chosen = videos.settings()
    all_smoothed: dict[int, list[np.ndarray]] = {5: [], 10: []}
    for path in clips:
        detector = Remembering(hog(upsample=chosen.upsample, pixels=int(chosen.search_megapixels * 1e6)))
        every = {window: boxes(path, detector=detector, stride=1, smooth=window) for window in (0, smooth)}
        for stride, collected in all_smoothed.items():
            detector.asked = 0
            other = {window: boxes(path, detector=detector, stride=stride, smooth=window) for window in (0, smooth)}
            found = {window: overlaps(every[window], other[window]) for window in (0, smooth)}
            end = min(max(every[0]), max(other[0]))
            alone = sum(index not in every[0] for index in other[0] if index <= end)
            searched = detector.asked / 2 / (end + 1)
            facts = (path.name, stride, f"{searched:.0%}", len(found[0]), int((found[0] == 0).sum()), alone)
            print(line(*facts, *(word for one in found.values() for word in _words(one))))
            collected.append(found[smooth])
    for stride, collected in all_smoothed.items():
        share = float((np.concatenate(collected) > GOAL_OVERLAP).mean())
        worst = min(float((one > GOAL_OVERLAP).mean()) for one in collected)
        found_words = (
            f"stride {stride}: smoothed overlap above {GOAL_OVERLAP} on {share:.2%} of frames, worst clip {worst:.2%}"
        )
        print(f"{found_words}; {verdict(share, GOAL_SHARE, at_least=True)}")


def _words(found: np.ndarray) -> tuple[str, str, str]:
    return f"{found.mean():.3f}", f"{np.quantile(found, 0.01):.3f}", f"{(found > GOAL_OVERLAP).mean():.2%}"
