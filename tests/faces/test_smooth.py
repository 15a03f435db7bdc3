import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualface.faces.smooth import JUMP, LONGEST_GAP, smoothed

GAPS = st.lists(st.integers(1, LONGEST_GAP + 4), min_size=1, max_size=60)
STEPS = st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 3))


def straight(index, step):
    """Boxes of a face that moves and grows evenly, by whole pixels a frame."""
    right, down, grows = step
    left, top, side = 9000 + right * index, 9000 + down * index, 120 + grows * index
    return np.stack([left, top, left + side, top + side], axis=1).astype(np.int32)


def all_smoothed(index, boxes, window):
    return np.stack([smoothed(index, boxes, at=at, window=window) for at in range(len(index))])


def jittery(count, *, side=180, seed=0):
    """A still face as HOG sees it: of two sizes, its centre on a grid."""
    rng = np.random.default_rng(seed)
    sides = np.where(rng.random(count) < 0.4, round(1.2 * side), side)
    centres = 500 + rng.integers(-1, 2, (count, 2)) * side // 20
    return np.concatenate([centres - sides[:, None] // 2, centres + sides[:, None] // 2], axis=1).astype(np.int32)


@given(gaps=GAPS, step=STEPS, window=st.integers(0, 50))
def test_even_motion_and_growth_come_through_unchanged_to_the_ends(gaps, step, window):
    index = np.cumsum(gaps)
    boxes = straight(index, step)
    found = all_smoothed(index, boxes, window)
    assert found.dtype == np.int32
    assert (found == boxes).all()


@given(speed=st.floats(-3, 3), count=st.integers(3, 60), window=st.integers(1, 50))
def test_even_motion_by_parts_of_a_pixel_stays_within_one(speed, count, window):
    index = np.arange(count)
    left = np.rint(500 + speed * index)
    boxes = np.stack([left, left, left + 150, left + 150], axis=1).astype(np.int32)
    assert np.abs(all_smoothed(index, boxes, window) - boxes).max() <= 1


def test_jitter_goes():
    boxes = jittery(300)
    found = all_smoothed(np.arange(300), boxes, 40)
    sides, raw = found[:, 2] - found[:, 0], boxes[:, 2] - boxes[:, 0]
    assert np.std(sides) < np.std(raw) / 3
    assert np.abs(sides - raw.mean()).max() < 0.08 * raw.mean()
    assert np.abs((found[:, 0] + found[:, 2]) / 2 - 500).max() < 6


def test_the_end_of_a_track_does_not_turn_with_the_noise():
    tracks = [jittery(41, seed=seed) for seed in range(60)]
    ends, middles = ([smoothed(np.arange(41), boxes, at=at, window=40) for boxes in tracks] for at in (40, 20))
    spread_at_end, spread = (np.std([box[2] - box[0] for box in found]) for found in (ends, middles))
    assert spread_at_end < 1.4 * spread  # 2 for a line by least squares


def test_a_nod_is_followed_more_closely_than_a_change_of_size():
    index = np.arange(121)
    wave = np.sin(index / 20)
    moving = np.stack([500 + 40 * wave, 500 + 0 * wave, 700 + 40 * wave, 700 + 0 * wave], axis=1).astype(np.int32)
    growing = np.stack([500 - 20 * wave, 500 - 20 * wave, 700 + 20 * wave, 700 + 20 * wave], axis=1).astype(np.int32)
    lag = np.abs(all_smoothed(index, moving, 30) - moving)[30:-30, 0].max()
    assert lag < 10
    assert np.abs(all_smoothed(index, growing, 30) - growing)[30:-30, 0].max() > 6


@given(data=st.data(), window=st.integers(0, 30))
def test_faces_outside_the_window_do_not_matter(data, window):
    index = np.cumsum(data.draw(GAPS))
    boxes = jittery(len(index))
    at = data.draw(st.integers(0, len(index) - 1))
    near = np.abs(index - index[at]) <= window
    alone = smoothed(index[near], boxes[near], at=int(np.flatnonzero(near).tolist().index(at)), window=window)
    assert (smoothed(index, boxes, at=at, window=window) == alone).all()


@given(gaps=GAPS, window=st.integers(0, 50), seed=st.integers(0, 99))
def test_the_past_counts_as_the_future(gaps, window, seed):
    index, boxes = np.cumsum(gaps), jittery(len(gaps), seed=seed)
    backwards = all_smoothed(index[-1] - index[::-1], boxes[::-1], window)[::-1]
    # the same sum in another order may round a half to the other side
    assert np.abs(backwards - all_smoothed(index, boxes, window)).max() <= 1


@pytest.mark.parametrize(("gap", "reached"), [(LONGEST_GAP, True), (LONGEST_GAP + 1, False)])
def test_a_short_gap_is_reached_across_and_a_long_one_not(gap, reached):
    index = np.concatenate([np.arange(20), 20 + gap + np.arange(20)])
    boxes = np.tile(np.array([100, 100, 200, 200], dtype=np.int32), (40, 1))
    boxes[20:] += 12
    found = all_smoothed(index, boxes, 40)
    assert (found != boxes).any() == reached


def test_neither_side_of_a_jump_sees_the_other():
    boxes = np.tile(np.array([100, 100, 200, 200], dtype=np.int32), (40, 1))
    boxes[17:] += 45  # overlap 0.18
    assert (all_smoothed(np.arange(40), boxes, 30) == boxes).all()


def test_two_scale_steps_of_hog_are_no_jump():
    assert JUMP < 1 / 1.44**2
    boxes = np.tile(np.array([100, 100, 244, 244], dtype=np.int32), (21, 1))
    boxes[10] = (122, 122, 222, 222)
    found = smoothed(np.arange(21), boxes, at=10, window=10)
    assert found[2] - found[0] > 130


def test_without_a_window_or_a_neighbour_a_box_stays_as_it_is():
    boxes = jittery(20)
    assert (all_smoothed(np.arange(20), boxes, 0) == boxes).all()
    assert (smoothed(np.array([7]), boxes[:1], at=0, window=20) == boxes[0]).all()
