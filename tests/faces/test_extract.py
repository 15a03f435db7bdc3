from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from clips import bright_squares, picture, write_clip
from dualface import video
from dualface.faces.detect import hog
from dualface.faces.extract import Extract, Wanted, extract
from dualface.faces.spill import Spill

LIMITS = video.Limits(pixels=10**6, frames=1000)


@dataclass(frozen=True)
class BrightSquares:
    """Stands in for dlib."""

    batch: int = 1

    def __call__(self, frames):
        return [bright_squares(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)) for frame in frames]


@dataclass(frozen=True)
class Found:
    """An extract, with its main person's crops read."""

    whole: Extract
    faces: np.ndarray
    index: np.ndarray
    boxes: np.ndarray
    others: list[np.ndarray]


def run(path, *, detect=None, limits=LIMITS, **wanted):
    wanted = Wanted(**{"crop_scale": 1.3, "max_frames": 30, "min_faces": 5, **wanted})
    with Spill(24) as spill:
        found = extract(path, detect=detect or BrightSquares(), wanted=wanted, limits=limits, spill=spill)
        arrays = [np.stack(list(person.faces)) for person in found.people]
    nobody = np.zeros((0, 24, 24, 3), np.uint8), np.zeros(0, np.int32), np.zeros((0, 4), np.int32)
    main = (arrays[0], found.people[0].index, found.people[0].boxes) if arrays else nobody
    return Found(found, *main, arrays[1:])


def outcome(found):
    return found.whole.outcome, found.whole.reason, found.whole.frames


def test_faces_come_with_their_frame_numbers_and_boxes(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [picture()] * 4 + [picture((40 + 2 * i, 60, 50)) for i in range(10)])
    found = run(path)
    assert outcome(found) == ("ok", "", 14)
    assert (found.faces.shape, found.faces.dtype) == ((10, 24, 24, 3), np.uint8)
    assert (found.index.dtype, found.index.tolist()) == (np.int32, list(range(4, 14)))
    assert found.boxes.dtype == np.int32
    assert np.abs(found.boxes[9] - (58, 60, 108, 110)).max() <= 2
    assert found.whole.meta == {"width": 320, "height": 200, "frames": 14, "fps": 25.0}
    assert np.abs(found.faces[:, 12, 12].astype(int) - (255, 240, 220)).max() <= 6


def test_decoding_stops_when_the_main_person_has_enough_faces(tmp_path):
    found = run(write_clip(tmp_path / "a.mp4", [picture((40, 60, 50))] * 40), max_frames=12)
    assert outcome(found) == ("ok", "", 12)
    assert len(found.faces) == 12


def test_a_smaller_person_who_is_complete_first_does_not_stop_it(tmp_path):
    small, both = picture((40, 60, 30)), picture((40, 60, 30), (180, 40, 90))
    found = run(write_clip(tmp_path / "a.mp4", [small] * 5 + [both] * 20), max_frames=12)
    assert found.index.tolist() == list(range(5, 17))
    assert (found.boxes[:, 0] > 150).all()


def test_a_lost_face_that_jumps_still_fills_the_sample(tmp_path):
    clip = [picture((30, 60, 50))] * 8 + [picture()] * 3 + [picture((220, 60, 50))] * 20
    found = run(write_clip(tmp_path / "a.mp4", clip), max_frames=16)
    assert found.index.tolist() == [*range(8), *range(11, 19)]


def test_no_face_and_too_few_faces_are_outcomes_with_numbers(tmp_path):
    found = run(write_clip(tmp_path / "a.mp4", [picture()] * 6))
    assert outcome(found) == ("no_face", "no face in 6 frames", 6)
    found = run(write_clip(tmp_path / "b.mp4", [picture()] * 6 + [picture((40, 60, 50))] * 4))
    assert outcome(found) == ("too_few_faces", "4 of at least 5 faces, in 10 frames", 10)
    assert found.whole.people == []


def test_a_damaged_video_keeps_its_faces_and_says_what_is_missing(tmp_path):
    path = write_clip(tmp_path / "a.mkv", [picture((40 + i, 60, 50)) for i in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = run(path, max_frames=60)
    assert found.whole.outcome == "damaged"
    assert "the file ends after" in found.whole.reason
    assert len(found.faces) == found.whole.frames


def test_what_is_no_video_is_an_outcome_whose_reason_names_no_folder(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video" * 99)
    found = run(path)
    assert (found.whole.outcome, found.whole.frames, len(found.faces)) == ("unreadable", 0, 0)
    assert found.whole.reason.startswith("not a video")
    assert str(tmp_path) not in found.whole.reason


def test_a_video_beyond_the_limits_is_refused_with_the_numbers(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [picture()] * 9)
    found = run(path, limits=video.Limits(pixels=1000, frames=99))
    assert outcome(found) == ("refused", "frames of 320 x 200, more than faces.limit_megapixels allows (1,000 px)", 0)
    found = run(path, limits=video.Limits(pixels=10**6, frames=8))
    assert outcome(found) == ("refused", "has more than 8 frames (faces.limit_frames)", 0)


def two_people(*, frames=20):
    return [picture((30 + i, 60, 60), (200 - i, 40, 40)) for i in range(frames)]


def test_the_next_people_are_kept_when_they_are_wanted(tmp_path):
    path = write_clip(tmp_path / "a.mp4", two_people())
    assert run(path).others == []
    found = run(path, people=3)
    assert [len(faces) for faces in found.others] == [20]
    assert (found.boxes[:, 2] - found.boxes[:, 0] >= 58).all()


def test_a_person_of_too_few_faces_is_none(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [*two_people(frames=4), *[picture((34, 60, 60))] * 10])
    assert run(path, people=2).others == []


@pytest.mark.parametrize("wanted", [{"stride": 5}, {"smooth": 3}, {"stride": 4, "smooth": 2}])
def test_neither_stride_nor_smoothing_loses_a_frame_or_moves_a_steady_face(tmp_path, wanted):
    path = write_clip(tmp_path / "a.mp4", [picture((40 + 2 * i, 60, 50)) for i in range(23)])
    every, found = run(path), run(path, **wanted)
    assert found.index.tolist() == every.index.tolist() == list(range(23))
    assert np.abs(found.boxes - every.boxes).max() <= 2


def test_smoothing_takes_the_jitter_out_of_the_boxes(tmp_path):
    jitter = np.random.default_rng(0).integers(-4, 5, 40)
    path = write_clip(tmp_path / "a.mp4", [picture((100 + int(left), 60, 50)) for left in jitter])
    raw, found = run(path, max_frames=40), run(path, max_frames=40, smooth=5)
    assert found.boxes[:, 0].std() < raw.boxes[:, 0].std() / 1.5


@pytest.mark.parametrize(
    "name",
    ["var_interlaced.mp4", "var_phone_rotmeta90_upright_when_applied.mp4", "var_two_faces_real_left_fake_right.mp4"],
)
def test_real_faces_are_found_and_followed(shared, name):
    found = run(shared / "data" / "odd" / name, detect=hog(upsample=0, pixels=10**7), max_frames=8)
    assert (found.whole.outcome, len(found.faces)) == ("ok", 8)
    assert found.whole.frames <= 10  # HOG misses a face now and then
    assert (found.boxes[:, 2] < 640).all()  # of two people, the left one throughout
