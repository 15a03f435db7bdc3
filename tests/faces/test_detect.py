import hashlib
from dataclasses import replace
from types import SimpleNamespace

import cv2
import dlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import still
from dualface import video
from dualface.errors import CheckpointError
from dualface.faces import detect
from dualface.faces.detect import CNN_PIXELS, MOST_FACES, Cnn, Hog, area, cnn, hog, largest, overlap

PIXELS = 10**7
LIMITS = video.Limits(pixels=10**7, frames=10**4)
BOXES = st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 80), st.integers(1, 80))


def box(left, top, width, height):
    return np.array([left, top, left + width, top + height], dtype=np.int32)


def frame(height, width, level=0):
    return still(np.full((height, width, 3), level, dtype=np.uint8))


@pytest.fixture
def real(shared):
    """The first frame of a real clip, which shows one person."""
    with video.opened(shared / "data" / "odd" / "var_vp9.webm", limits=LIMITS) as clip:
        return next(iter(clip))


@pytest.fixture
def weights(shared):
    return shared / "data" / "weights" / "mmod_human_face_detector.dat"


def test_hog_gives_no_box_for_a_blank_frame_and_is_made_once():
    assert hog(upsample=0, pixels=PIXELS) is hog(upsample=0, pixels=PIXELS)
    (boxes,) = hog(upsample=0, pixels=PIXELS)([frame(120, 160)])
    assert (boxes.shape, boxes.dtype, hog(upsample=0, pixels=PIXELS).batch) == ((0, 4), np.int32, 1)


def test_hog_looks_at_grey_as_often_upsampled_as_asked_and_ends_are_exclusive():
    seen = []

    def model(grey, upsample):
        seen.append((grey.shape, grey.dtype, upsample))
        return [dlib.rectangle(-3, 5, 76, 84)] * len(seen)

    one, two = Hog(model, 2, PIXELS)([frame(120, 160), frame(90, 60)])
    assert seen == [((120, 160), np.uint8, 2), ((90, 60), np.uint8, 2)]
    assert (one.tolist(), two.tolist()) == ([[-3, 5, 77, 85]], [[-3, 5, 77, 85]] * 2)


def test_a_large_frame_is_halved_for_the_search_and_its_boxes_are_in_its_own_pixels():
    seen = []

    def model(grey, _):
        seen.append(grey.shape)
        return [dlib.rectangle(10, 20, 39, 49)]

    for (height, width), times in (((100, 200), 1), ((101, 200), 2), ((400, 300), 4)):
        (boxes,) = Hog(model, 0, 20_000)([frame(height, width)])
        assert boxes.tolist() == [[10 * times, 20 * times, 40 * times, 50 * times]]
    assert seen == [(100, 200), (50, 100), (100, 75)]


def test_hog_finds_a_real_face(real):
    (boxes,) = hog(upsample=0, pixels=PIXELS)([real])
    assert boxes.shape == (1, 4)
    assert area(boxes[0]) > 100**2


class Recorded:
    """In place of dlib's network: sees one face whose left edge is the picture's grey level."""

    def __init__(self):
        self.calls = []

    def __call__(self, pictures, upsample, batch):
        assert batch == len(pictures)
        assert len({picture.shape for picture in pictures}) == 1
        self.calls.append((pictures[0].shape[:2], len(pictures)))
        level = [int(picture[0, 0, 0]) for picture in pictures]
        return [[SimpleNamespace(rect=dlib.rectangle(one, 0, one + 9, 9))] for one in level]


def test_cnn_takes_frames_of_one_shape_together_and_keeps_their_order():
    model = Recorded()
    frames = [frame(90, 120, level) for level in range(6)] + [frame(60, 80, 6), frame(90, 120, 7)]
    found = Cnn(model, 0, PIXELS, batch=4)(frames)
    assert model.calls == [((90, 120), 4), ((90, 120), 2), ((60, 80), 1), ((90, 120), 1)]
    assert [boxes.tolist() for boxes in found] == [[[level, 0, level + 10, 10]] for level in range(8)]


def test_cnn_takes_fewer_large_frames_at_once():
    for upsample, most in ((0, 4), (1, 1)):
        model = Recorded()
        Cnn(model, upsample, PIXELS, batch=16)([frame(1080, 1920)] * 4)
        assert [count for _, count in model.calls] == [most] * (4 // most)
    assert CNN_PIXELS >= 16 * 944 * 500


def test_cnn_finds_the_face_that_hog_finds(real, weights):
    small = cv2.resize(real.rgb, (240, 160), interpolation=cv2.INTER_AREA)
    frames = [still(small), still(small[:, ::-1], index=1), frame(80, 100)]
    detector = replace(cnn(weights, upsample=1, pixels=PIXELS), batch=2)
    assert cnn(weights, upsample=1, pixels=PIXELS) is cnn(weights, upsample=1, pixels=PIXELS)
    one, mirrored, none = detector(frames)
    scale = np.array([240, 160, 240, 160]) / np.array(real.rgb.shape)[[1, 0, 1, 0]]
    assert overlap(one[0], hog(upsample=0, pixels=PIXELS)([real])[0][0] * scale) > 0.5
    assert overlap(mirrored[0], one[0][[2, 1, 0, 3]] * [-1, 1, -1, 1] + [240, 0, 240, 0]) > 0.7
    assert (len(one), none.shape, none.dtype) == (1, (0, 4), np.int32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"weights\.dat: no such file; "),
        (b"", r"weights\.dat: not dlib's mmod_human_face_detector\.dat"),
        (b"BZh91AY&SY" * 99, "unpacked with bunzip2"),
        (b"some text\n" * 72_994, "not dlib's"),
        (bytes(729_940), "not dlib's"),
    ],
)
def test_a_missing_or_foreign_weights_file_is_told_in_one_line(tmp_path, content, message):
    path = tmp_path / "weights.dat"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        cnn(path, upsample=0, pixels=PIXELS)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_weights_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        cnn(tmp_path, upsample=0, pixels=PIXELS)


@pytest.mark.parametrize("change", ["cut", "longer", "one byte"])
def test_dlib_is_handed_nothing_but_the_published_network(tmp_path, weights, change, monkeypatch):
    content = bytearray(weights.read_bytes())
    if change == "cut":
        content = content[:-1]
    elif change == "longer":
        content += b"\0"
    else:
        content[40] ^= 1
    path = tmp_path / "weights.dat"
    path.write_bytes(content)
    monkeypatch.setattr(detect.dlib, "cnn_face_detection_model_v1", lambda path: pytest.fail("handed over"))
    with pytest.raises(CheckpointError, match="whole"):
        cnn(path, upsample=0, pixels=PIXELS)


def test_a_network_that_dlib_cannot_load_is_told_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "weights.dat"
    path.write_bytes(b"of another dlib")
    monkeypatch.setattr(detect, "CNN_SHA256", hashlib.sha256(b"of another dlib").hexdigest())
    with pytest.raises(CheckpointError, match=r"weights\.dat: dlib can't load it: .*") as caught:
        cnn(path, upsample=0, pixels=PIXELS)
    assert "\n" not in str(caught.value)


def test_the_largest_come_first_and_a_crowd_is_cut():
    crowd = np.stack([box(10 * i, 0, 5 + i % 4, 5) for i in range(9)])
    kept = largest(crowd)
    assert len(kept) == MOST_FACES
    assert [one.tolist() for one in kept] == [
        box(*one).tolist() for one in [(30, 0, 8, 5), (70, 0, 8, 5), (20, 0, 7, 5), (60, 0, 7, 5)]
    ]
    assert largest(np.zeros((0, 4), dtype=np.int32)) == []


@given(one=BOXES, other=BOXES)
def test_overlap_is_the_share_of_common_pixels(one, other):
    counts = np.zeros((200, 200), dtype=int)
    for left, top, width, height in (one, other):
        counts[top + 50 : top + 50 + height, left + 50 : left + 50 + width] += 1
    expected = (counts == 2).sum() / (counts > 0).sum()
    assert overlap(box(*one), box(*other)) == pytest.approx(expected)
    assert overlap(np.stack([box(*one), box(*other)]), box(*other)) == pytest.approx([expected, 1])
