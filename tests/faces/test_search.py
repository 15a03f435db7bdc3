import weakref
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualface import video
from dualface.faces.detect import MOST_FACES, hog, overlap
from dualface.faces.search import MOST_WAITING, search

HEIGHT, WIDTH = 720, 1280
STRIDES = st.integers(1, 14)


class Picture:
    """A frame of nothing but what `search` may ask of it; its pixels are counted when they are asked for."""

    def __init__(self, index, scene=0, shape=(HEIGHT, WIDTH)):
        self.index = index
        self.shape = shape
        self.bytes = 1_000_000
        self.thumbnail = np.random.default_rng(scene).integers(0, 256, (36, 64), dtype=np.uint8)
        self.converted = 0

    @property
    def rgb(self):
        self.converted += 1
        return np.broadcast_to(np.uint8(0), (*self.shape, 3))


@dataclass
class Known:
    """A detector that knows the boxes of each frame number, and notes where it ran."""

    boxes: dict[int, list]
    batch: int = 1
    ran: list = field(default_factory=list)
    calls: list = field(default_factory=list)

    def __call__(self, frames):
        self.calls.append(len(frames))
        self.ran += [frame.index for frame in frames]
        return [np.array(self.boxes.get(frame.index, []), dtype=np.int32).reshape(-1, 4) for frame in frames]


def clip(count, *, cuts=()):
    return [Picture(index, scene=sum(index >= cut for cut in cuts)) for index in range(count)]


def found(frames, detect, stride):
    """What `search` yields, as plain numbers."""
    return {frame.index: np.array(faces).tolist() for frame, faces in search(frames, detect=detect, stride=stride)}


def square(left, top, side):
    return [left, top, left + side, top + side]


@given(
    gaps=st.lists(st.sampled_from([1, 1, 1, 2, 9]), min_size=1, max_size=50),
    speeds=st.lists(st.integers(-9, 9), max_size=3),
    grows=st.integers(0, 3),
    stride=STRIDES,
    batch=st.sampled_from([1, 4, 16]),
)
def test_even_motion_gives_at_any_stride_what_searching_every_frame_gives(gaps, speeds, grows, stride, batch):
    index = np.cumsum(gaps).tolist()
    sides = {i: 100 + grows * i for i in index}
    boxes = {
        i: [square(900 + speed * i, 9000 * who, sides[i] + who) for who, speed in enumerate(speeds)] for i in index
    }
    frames = [Picture(i) for i in index]
    every = found(frames, Known(boxes), 1)
    assert list(every) == index
    assert all(len(every[i]) == len(speeds) for i in index)
    assert found(frames, Known(boxes, batch), stride) == every


@given(count=st.integers(1, 60), change=st.integers(0, 60), stride=STRIDES, appears=st.booleans())
def test_a_face_that_comes_or_goes_is_found_to_the_frame(count, change, stride, appears):
    seen = range(change, count) if appears else range(min(change, count))
    boxes = {i: [square(300, 200, 150)] for i in seen}
    assert found(clip(count), Known(boxes), stride) == {i: boxes.get(i, []) for i in range(count)}


@given(count=st.integers(3, 60), missed=st.integers(0, 59), stride=STRIDES)
def test_a_frame_in_which_the_detector_misses_a_face_costs_no_other(count, missed, stride):
    boxes = {i: [square(300 + i, 200, 150)] for i in range(count) if i != missed}
    result = found(clip(count), Known(boxes), stride)
    assert {i: result[i] for i in boxes} == boxes
    assert result.get(missed, []) in ([], [square(300 + missed, 200, 150)])


@given(count=st.integers(2, 50), cuts=st.sets(st.integers(1, 49), min_size=1, max_size=5), stride=STRIDES)
def test_nothing_is_interpolated_across_a_cut_between_two_at_the_same_place(count, cuts, stride):
    sides = np.random.default_rng(0).integers(140, 160, 6)  # they overlap by 0.77 or more
    boxes = {i: [square(300, 200, int(sides[sum(i >= cut for cut in cuts)]))] for i in range(count)}
    detect = Known(boxes)
    assert found(clip(count, cuts=cuts), detect, stride) == boxes
    assert {cut + side for cut in cuts for side in (-1, 0) if 0 < cut < count} <= set(detect.ran)


@given(count=st.integers(0, 70), stride=STRIDES, batch=st.integers(1, 20), data=st.data())
def test_every_frame_is_yielded_once_and_in_order_whatever_is_seen(count, stride, batch, data):
    faces = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 500), st.integers(20, 300)), max_size=6)
    boxes = {i: [square(*face) for face in data.draw(faces)] for i in range(0, count, 3)}
    frames = clip(count, cuts=(7, 8, 31))
    detect = Known(boxes, batch)
    result = list(search(iter(frames), detect=detect, stride=stride))
    assert [frame for frame, _ in result] == frames
    assert len(detect.ran) == len(set(detect.ran))
    assert all(call <= batch for call in detect.calls)
    assert all(len(faces) <= MOST_FACES for _, faces in result)
    areas = [[(box[2] - box[0]) * (box[3] - box[1]) for box in faces] for _, faces in result]
    assert all(area == sorted(area, reverse=True) for area in areas)
    assert all(box.dtype == np.int32 for _, faces in result for box in faces)


@pytest.mark.parametrize(("stride", "batch"), [(1, 1), (1, 16), (10, 1), (5, 16), (16, 16), (30, 4)])
def test_it_reads_no_more_than_a_segment_or_a_batch_ahead_and_keeps_no_frame(stride, batch):
    read = []

    def source():
        for i in range(100):
            frame = Picture(i)
            read.append(weakref.ref(frame))
            yield frame

    # the face comes, goes and jumps: every way through the search is taken
    boxes = {i: [square(300 + 40 * (i % 7 == 3), 200, 150)] for i in range(100) if not 20 < i < 33}
    for done, (frame, _) in enumerate(search(source(), detect=Known(boxes, batch), stride=stride), start=1):
        assert len(read) - done <= max(stride, batch)
        assert sum(one() is not None for one in read) <= 1 + max(stride, batch)
        assert all(one() is None for one in read[: done - 1]), frame.index
        del frame


def test_who_stops_early_has_decoded_little():
    read = []
    frames = (read.append(i) or Picture(i) for i in range(1000))
    detect = Known({i: [square(300, 200, 150)] for i in range(1000)})
    next(frame for frame, _ in search(frames, detect=detect, stride=10) if frame.index == 24)
    assert len(read) == 31
    assert detect.ran == [0, 10, 20, 30]


@given(count=st.integers(1, 80), stride=STRIDES)
def test_a_calm_clip_costs_a_search_per_stride_and_touches_no_other_pixels(count, stride):
    frames = clip(count)
    detect = Known({i: [square(300 + 2 * i, 200, 150)] for i in range(count)})
    found(frames, detect, stride)
    assert sorted(detect.ran) == sorted({*range(0, count, stride), count - 1})
    assert not any(frame.converted for frame in frames)  # pixels are the detector's business


def test_large_frames_are_searched_more_often_so_that_few_wait():
    frames = clip(40)
    for frame in frames:
        frame.bytes = MOST_WAITING // 3
    detect = Known({})
    found(frames, detect, 10)
    assert max(np.diff(sorted(detect.ran))) == 3


def test_a_batch_spans_segments():
    detect = Known({i: [square(300, 200, 150)] for i in range(100)}, batch=16)
    found(clip(100), detect, 5)
    assert detect.calls[:4] == [3, 3, 3, 3]
    detect = Known({}, batch=16)
    found(clip(100), detect, 1)
    assert detect.calls == [16, 16, 16, 16, 16, 16, 4]


def test_a_small_false_alarm_is_not_worth_a_search_and_a_large_one_only_few():
    face = square(300, 200, 200)
    calm = {i: [face] for i in range(101)}
    for side, most in ((90, 11), (110, 18)):
        detect = Known(calm | {40: [face, square(900, 100, side)]})
        result = found(clip(101), detect, 10)
        assert [len(result[i]) for i in (39, 40, 41)] == [1, 2, 1]
        assert len(detect.ran) <= most


def test_two_boxes_are_not_both_paired_with_one():
    one, other = square(300, 200, 150), square(310, 200, 140)  # they overlap by 0.87
    boxes = {i: [one, other] if i < 14 else [one] for i in range(31)}
    assert found(clip(31), Known(boxes), 10) == boxes


def nodding(count, *, period):
    """A head that nods once in `period` frames, in pictures that show it, and its boxes."""
    texture = np.random.default_rng(1).integers(0, 256, (60, 60), dtype=np.uint8)
    frames, boxes = [], {}
    for i in range(count):
        frame = Picture(i)
        down = 6 * (1 - np.cos(2 * np.pi * i / period))
        frame.thumbnail = frame.thumbnail.copy()
        top, rest = divmod(down, 1)
        rows = (1 - rest) * texture[1:13, :12] + rest * texture[:12, :12]
        frame.thumbnail[4 + int(top) : 16 + int(top), 20:32] = rows
        frames.append(frame)
        boxes[i] = [square(400, round(20 * (4 + down)), 240)]
    return frames, boxes


def test_a_restless_head_is_followed_though_the_ends_agree():
    frames, boxes = nodding(101, period=10)
    detect = Known(boxes)
    result = found(frames, detect, 10)
    assert min(overlap(np.array(result[i][0]), np.array(boxes[i][0])) for i in boxes) > 0.8
    # with a picture that stands still, the same boxes look calm
    calm = Known(boxes)
    still = found(clip(101), calm, 10)
    assert min(overlap(np.array(still[i][0]), np.array(boxes[i][0])) for i in boxes) < 0.4
    assert len(calm.ran) == 11 < len(detect.ran)


def test_something_that_moves_elsewhere_adds_no_search():
    frames, _ = nodding(101, period=10)
    detect = Known({i: [square(800, 200, 150)] for i in range(101)})
    found(frames, detect, 10)
    assert len(detect.ran) == 11


def test_a_fast_head_is_followed_in_between():
    boxes = {i: [square(10 + 9 * i, 200, 150)] for i in range(101)}  # 90 px in ten frames: overlap 0.25
    detect = Known(boxes)
    assert found(clip(101), detect, 10) == boxes
    assert len(detect.ran) < 60


def test_a_picture_that_changes_its_shape_is_a_break():
    frames = [Picture(i, shape=(HEIGHT, WIDTH) if i < 14 else (WIDTH, HEIGHT)) for i in range(31)]
    for frame in frames[14:]:  # as a phone that was turned meanwhile
        frame.thumbnail = frame.thumbnail.T
    boxes = {i: [square(300, 200, 150 if i < 14 else 140)] for i in range(31)}
    assert found(frames, Known(boxes), 10) == boxes


def test_a_face_beyond_the_edge_of_the_picture_is_no_error():
    boxes = {i: [square(-300, -200, 150), square(2000, 900, 150)] for i in range(12)}
    result = found(clip(12), Known(boxes), 10)
    assert {i: sorted(faces) for i, faces in result.items()} == boxes


def test_a_real_clip_of_nobody_then_somebody_is_searched_seldom(shared):
    ran = []

    class Counting(Known):
        def __call__(self, frames):
            ran.extend(frame.index for frame in frames)
            return hog(upsample=0, pixels=10**7)(frames)

    limits = video.Limits(pixels=10**6, frames=1000)
    with video.opened(shared / "data" / "odd" / "var_noface2s_then_face3s.mp4", limits=limits) as real:
        result = found(real, Counting({}), 10)
    assert [index for index, faces in result.items() if faces] == list(range(60, 150))
    assert {59, 60} <= set(ran)
    assert len(ran) <= 20
