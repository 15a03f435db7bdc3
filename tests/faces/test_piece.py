import json
import zipfile

import numpy as np
import pytest

from dualface.errors import ShardError
from dualface.faces import piece
from dualface.faces.extract import Extract, Person
from dualface.faces.spill import Crops, Spill
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.shards import sample


def video(*, label=0, ranges=None):
    return Video("clip", "folder", "clip.mp4", 1, label, ("anna",), fake_ranges=ranges)


def person(spill, *, count=6, first=0):
    faces = np.random.default_rng(first).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    boxes = np.array([[10, 10, 40 + number, 40] for number in range(count)], dtype=np.int32)
    crops = Crops(spill, [spill.add(face) for face in faces])
    return faces, Person(crops, np.arange(first, first + count, dtype=np.int32), boxes)


@pytest.fixture
def spill():
    with Spill(16) as one:
        yield one


def test_a_sample_is_what_encode_makes_of_the_same_faces(tmp_path, spill):
    faces, main = person(spill)
    found = Extract("ok", "", [main], frames=8, seconds=0.32, meta={"width": 64})
    row = piece.write(tmp_path / "p", video(label=1, ranges=((4, 9),)), found)
    assert row == piece.read_row(tmp_path / "p", "clip") == Attempt("clip", "ok", "", 8, 6, 32, 0.32)
    [(key, members)] = piece.read_samples(tmp_path / "p")
    labels = np.array([0, 0, 0, 0, 1, 1], dtype=np.uint8)
    assert key == "clip"
    assert members == sample.encode(sample.FaceTrack("clip", faces, main.index, main.boxes, labels, meta={"width": 64}))


def test_each_person_is_a_sample_of_its_own(tmp_path, spill):
    (_, main), (other, second) = person(spill), person(spill, count=4, first=50)
    piece.write(tmp_path / "p", video(), Extract("ok", "", [main, second], 60, 2.4, {"width": 64}))
    (first_key, _), (second_key, members) = piece.read_samples(tmp_path / "p")
    assert (first_key, second_key) == ("clip", "clip-person2")
    track = sample.decode(second_key, members)
    assert np.array_equal(track.faces, other)
    assert track.meta == {"width": 64, "person": 2}


def test_a_row_without_faces_has_no_sample(tmp_path):
    row = piece.write(tmp_path / "p", video(), Extract("no_face", "no face in 9 frames", [], 9, 0.36))
    assert (
        row
        == piece.read_row(tmp_path / "p", "clip")
        == Attempt("clip", "no_face", "no face in 9 frames", 9, seconds=0.36)
    )
    assert piece.read_samples(tmp_path / "p") == []


def test_a_fake_without_a_fake_frame_is_a_row_and_no_sample(tmp_path, spill):
    _, main = person(spill)
    row = piece.write(tmp_path / "p", video(label=1, ranges=((40, 90),)), Extract("ok", "", [main], 6, 0.2))
    assert (row.outcome, row.faces) == ("no_fake_frame", 0)
    assert row.reason == "none of its 6 faces is in its fake frames 40:90; raise faces.max_frames?"
    assert piece.read_samples(tmp_path / "p") == []


@pytest.mark.parametrize("length", [0, 1, 40, 300, -1])
def test_a_piece_that_was_cut_short_is_none(tmp_path, spill, length):
    _, main = person(spill)
    piece.write(tmp_path / "p", video(), Extract("ok", "", [main], 6, 0.2))
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:length])
    assert piece.read_row(tmp_path / "p", "clip") is None
    assert piece.read_row(tmp_path / "absent", "clip") is None


def test_a_forged_piece_is_none_or_told_whatever_byte_was_changed(tmp_path, spill):
    _, main = person(spill)
    piece.write(tmp_path / "p", video(), Extract("ok", "", [main], 6, 0.2))
    whole = (tmp_path / "p").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 150):
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / "p").write_bytes(content)
        row = piece.read_row(tmp_path / "p", "clip")
        if row is not None and piece.is_sound(tmp_path / "p"):
            assert [key for key, _ in piece.read_samples(tmp_path / "p")] == ["clip"]


def test_a_row_of_another_video_or_of_other_types_is_none(tmp_path):
    for changed in ({"key": "other"}, {"frames": "9"}, {"seconds": float("inf")}, {"outcome": "hacked"}):
        row = {"key": "clip", "outcome": "no_face", "reason": "no face", "frames": 9, **changed}
        with zipfile.ZipFile(tmp_path / "p", "w") as file:
            file.writestr("attempt.json", json.dumps(row))
        assert piece.read_row(tmp_path / "p", "clip") is None


def test_a_piece_damaged_in_its_middle_is_told_and_removed(tmp_path, spill):
    _, main = person(spill, count=40)
    piece.write(tmp_path / "p", video(), Extract("ok", "", [main], 40, 0.2))
    content = bytearray((tmp_path / "p").read_bytes())
    content[3000:3100] = bytes(100)
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(ShardError, match="damaged on disk .* and removed"):
        piece.read_samples(tmp_path / "p")
    assert not (tmp_path / "p").exists()
