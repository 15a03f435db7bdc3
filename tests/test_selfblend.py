"""Faces blended with altered copies of themselves."""

import cv2
import numpy as np
import pytest

from dualface.selfblend import Alteration, _region, self_blended


def smooth_faces(count, side, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([cv2.resize(rng.integers(60, 200, (5, 5, 3), dtype=np.uint8), (side, side)) for _ in range(count)])


@pytest.mark.parametrize("side", [16, 64, 100])
def test_faces_stay_faces_and_the_same_draw_gives_the_same(side):
    faces = smooth_faces(3, side)
    before = faces.copy()
    blended = self_blended(faces, rng=np.random.default_rng(1))
    assert (blended.shape, blended.dtype) == (faces.shape, np.uint8)
    assert np.array_equal(faces, before)
    assert not np.array_equal(blended, faces)
    assert np.array_equal(blended, self_blended(faces, rng=np.random.default_rng(1)))
    assert not np.array_equal(blended, self_blended(faces, rng=np.random.default_rng(2)))


def test_some_of_each_face_is_as_it_was_and_some_is_not():
    faces = smooth_faces(4, 64)
    for seed in range(20):
        changed = (self_blended(faces, rng=np.random.default_rng(seed)) != faces).any(axis=3).mean(axis=(1, 2))
        assert changed.min() > 0.02, seed
        assert changed.max() < 0.98, seed


def test_all_faces_of_a_window_are_altered_alike():
    faces = np.repeat(smooth_faces(1, 64), 6, axis=0)
    for seed in range(10):
        blended = self_blended(faces, rng=np.random.default_rng(seed)).astype(float)
        within = np.abs(blended - blended[0]).mean(axis=(1, 2, 3)).max()
        other = self_blended(faces[:1], rng=np.random.default_rng(100 + seed)).astype(float)
        assert within < np.abs(other - blended[0]).mean()


def test_the_region_lies_about_the_middle_and_grows_with_the_face():
    areas = {}
    for side in (64, 128):
        regions = [_region(side, np.random.default_rng(seed)) for seed in range(50)]
        assert all(region.min() >= 0 and region.max() <= 1.0001 for region in regions)
        average = np.mean(regions, axis=0)
        assert average[side // 2, side // 2] > 0.95
        assert average[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 0.1
        areas[side] = np.mean([region.mean() for region in regions])
    assert areas[64] == pytest.approx(areas[128], rel=0.05)


def test_what_is_sharpened_is_not_blurred_too():
    drawn = [Alteration.drawn(np.random.default_rng(seed)) for seed in range(300)]
    assert not any(one.blur and (one.sharpen or one.outside) for one in drawn)
    assert 0.6 < np.mean([one.blur > 0 for one in drawn]) < 0.8
    assert any(one.outside for one in drawn)
