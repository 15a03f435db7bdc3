"""A slice of benchmarks/fuzz.py: broken copies of small videos, the same ones each time."""

import runpy

import cv2
import numpy as np
import pytest

from clips import bright_squares, picture, write_clip
from conftest import ROOT
from dualface import video
from dualface.demo import DemoPlan, clip_frames
from dualface.faces import local
from dualface.faces.extract import Wanted, extract
from dualface.faces.spill import Spill
from dualface.ledger import OUTCOMES, WITH_FACES
from dualface.manifest import Video
from dualface.params import FacesParams
from rows import plain_params

BREAKING = runpy.run_path(str(ROOT / "benchmarks" / "breaking.py"))
KINDS, broken = BREAKING["KINDS"], BREAKING["broken"]
SUFFIXES = (".mp4", ".mkv", ".ts")
WANTED = Wanted(crop_scale=1.3, max_frames=30, min_faces=4)
LIMITS = video.Limits(pixels=10**6, frames=1000)
PLAN = DemoPlan(
    seed=1, identities=2, test_identities=1, videos_per_identity=1, fakes_per_video=0, youtube_real=0,
    frames=8, width=320, height=240, crf=23, strength=(0.35, 1.0), partial_share=0.5,
)  # fmt: skip


class BrightSquares:
    """Stands in for dlib."""

    batch = 1

    def __call__(self, frames):
        return [bright_squares(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)) for frame in frames]


def copies(folder, frames, *, numbers):
    """Break copies of the same pictures in three containers, in turn of each and of each kind."""
    options = ({"movflags": "faststart"}, {}, {})
    whole = [
        write_clip(folder / f"whole{suffix}", frames, key_every=5, **option).read_bytes()
        for suffix, option in zip(SUFFIXES, options, strict=True)
    ]
    paths = []
    for number in numbers:
        rng = np.random.default_rng([0, number])
        kind = KINDS[number // 3 % len(KINDS)]
        path = folder / f"{number}-{kind}{SUFFIXES[number % 3]}"
        path.write_bytes(broken(whole[number % 3], whole[rng.integers(3)], kind=kind, rng=rng))
        paths.append(path)
    return paths


def came_of(path):
    """Extract with the stand-in; all that came of it, as values that can be compared."""
    with Spill(16) as spill:
        found = extract(path, detect=BrightSquares(), wanted=WANTED, limits=LIMITS, spill=spill)
        faces = [np.stack(list(person.faces)).tobytes() for person in found.people]
    index = [person.index.tolist() for person in found.people]
    return found.outcome, found.reason, found.frames, index, faces


def test_a_broken_copy_has_an_outcome_and_faces_only_where_that_says_so(tmp_path):
    frames = [picture((40 + 4 * i, 60, 50)) for i in range(20)]
    outcomes = set()
    for path in copies(tmp_path, frames, numbers=range(36)):
        outcome, reason, decoded, index, _ = came = came_of(path)
        assert outcome in OUTCOMES, path
        assert bool(reason) == (outcome != "ok"), path
        assert bool(index) == (outcome in WITH_FACES), path
        assert all(WANTED.min_faces <= len(one) <= decoded for one in index), path
        assert came_of(path) == came
        outcomes.add(outcome)
    assert {"damaged", "unreadable"} <= outcomes


@pytest.mark.parametrize("workers", [1, 2])
def test_broken_copies_end_no_process_and_cost_no_other_video_its_row(tmp_path, workers):
    frames = [images[0] for images in clip_frames(PLAN, 0, 0, [])]
    paths = [*copies(tmp_path, frames, numbers=(0, 5, 9, 14, 16)), tmp_path / "whole.mp4"]
    videos = [Video(path.stem, "folder", path.name, path.stat().st_size, 0, ("a",)) for path in paths]
    done = local.attempts(
        videos,
        into=lambda one: tmp_path / f"{one.key}.piece",
        data_root=tmp_path,
        settings=FacesParams(**{**plain_params()["faces"], "min_faces": 2, "limit_seconds": 120.0}),
        workers=workers,
    )
    rows = [one.row for one in done]
    assert sorted(row.key for row in rows) == sorted(path.stem for path in paths)
    assert not {"crashed", "timeout"} & {row.outcome for row in rows}
    assert all(bool(row.faces) == (row.outcome in WITH_FACES) for row in rows)
    assert {row.key: row.outcome for row in rows}["whole"] == "ok"
