import numpy as np
import pytest

from clips import bright_squares, picture, write_clip
from dualface.faces.detect import hog, largest
from dualface.faces.extract import extract


def run(path, *, max_frames=30, min_faces=5, detect=bright_squares, input_size=24):
    return extract(
        path, detect=detect, input_size=input_size, crop_scale=1.3, max_frames=max_frames, min_faces=min_faces
    )


def test_faces_come_with_their_frame_numbers_and_boxes(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [picture()] * 4 + [picture((40 + 2 * i, 60, 50)) for i in range(10)])
    found = run(path)
    assert (found.outcome, found.reason, found.frames) == ("ok", "", 14)
    assert (found.faces.shape, found.faces.dtype) == ((10, 24, 24, 3), np.uint8)
    assert (found.index.dtype, found.index.tolist()) == (np.int32, list(range(4, 14)))
    assert found.boxes.dtype == np.int32
    assert np.abs(found.boxes[9] - (58, 60, 108, 110)).max() <= 2
    assert found.meta == {"width": 320, "height": 200, "frames": 14, "fps": 25.0}
    assert np.abs(found.faces[:, 12, 12].astype(int) - (255, 240, 220)).max() <= 6


def test_decoding_stops_when_the_main_person_has_enough_faces(tmp_path):
    found = run(write_clip(tmp_path / "a.mp4", [picture((40, 60, 50))] * 40), max_frames=12)
    assert (found.frames, len(found.faces), found.outcome) == (12, 12, "ok")


def test_a_smaller_person_who_is_complete_first_does_not_stop_it(tmp_path):
    small, both = picture((40, 60, 30)), picture((40, 60, 30), (180, 40, 90))
    found = run(write_clip(tmp_path / "a.mp4", [small] * 5 + [both] * 20), max_frames=12)
    assert found.index.tolist() == list(range(5, 17))
    assert (found.boxes[:, 0] > 150).all()


def test_none_keeps_all_faces(tmp_path):
    assert len(run(write_clip(tmp_path / "a.mp4", [picture((40, 60, 50))] * 40), max_frames=None).faces) == 40


def test_a_lost_face_that_jumps_still_fills_the_sample(tmp_path):
    clip = [picture((30, 60, 50))] * 8 + [picture()] * 3 + [picture((220, 60, 50))] * 20
    found = run(write_clip(tmp_path / "a.mp4", clip), max_frames=16)
    assert found.index.tolist() == [*range(8), *range(11, 19)]


def test_no_face_and_too_few_faces_are_outcomes_with_numbers(tmp_path):
    found = run(write_clip(tmp_path / "a.mp4", [picture()] * 6))
    assert (found.outcome, found.reason, found.frames) == ("no_face", "no face in 6 frames", 6)
    found = run(write_clip(tmp_path / "b.mp4", [picture()] * 6 + [picture((40, 60, 50))] * 4))
    assert (found.outcome, found.reason) == ("too_few_faces", "4 of at least 5 faces, in 10 frames")
    assert found.faces.shape == (0, 24, 24, 3)


def test_a_damaged_video_keeps_its_faces_and_says_what_is_missing(tmp_path):
    path = write_clip(tmp_path / "a.mkv", [picture((40 + i, 60, 50)) for i in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = run(path, max_frames=60)
    assert found.outcome == "damaged"
    assert "the file ends after" in found.reason
    assert len(found.faces) == found.frames


def test_what_is_no_video_is_an_outcome_whose_reason_names_no_folder(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video" * 99)
    found = run(path)
    assert (found.outcome, found.frames, len(found.faces)) == ("unreadable", 0, 0)
    assert found.reason.startswith("not a video")
    assert str(tmp_path) not in found.reason


def test_of_a_crowd_the_largest_four_are_looked_at():
    boxes = np.array([[10 * i, 0, 10 * i + 5 + i, 5 + i] for i in range(9)], dtype=np.int32)
    assert [int(box[0]) for box in largest(boxes)] == [80, 70, 60, 50]


def test_hog_finds_no_face_in_noise_or_in_tiny_pictures():
    rng = np.random.default_rng(0)
    for shape in [(240, 320), (17, 33), (1, 1)]:
        boxes = hog(0)(rng.integers(0, 256, shape, dtype=np.uint8))
        assert (boxes.shape, boxes.dtype) == ((0, 4), np.int32)


@pytest.mark.parametrize(
    "name",
    ["var_interlaced.mp4", "var_phone_rotmeta90_upright_when_applied.mp4", "var_two_faces_real_left_fake_right.mp4"],
)
def test_real_faces_are_found_and_followed(shared, name):
    found = run(shared / "data" / "odd" / name, detect=hog(0), max_frames=8)
    assert (found.outcome, len(found.faces)) == ("ok", 8)
    assert found.frames <= 10  # HOG misses a face now and then
    assert (found.boxes[:, 2] < 640).all()  # of two people, the left one throughout
