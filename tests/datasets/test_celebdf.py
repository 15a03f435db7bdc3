import json

import pytest

from dualface.datasets import celebdf
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from rows import touch

REALS = ("Celeb-real/id0_0003.mp4", "Celeb-real/id1_0000.mp4", "YouTube-real/00007.mp4")
FAKES = ("Celeb-synthesis/id0_id1_0003.mp4", "Celeb-synthesis/id1_id0_0000.mp4")


def make_set(root, *, test=("1 Celeb-real/id0_0003.mp4", "0 Celeb-synthesis/id0_id1_0003.mp4"), labels=None):
    touch(root, *REALS, *FAKES)
    # The published list has no newline at its end.
    (root / "List_of_testing_videos.txt").write_text("\n".join(test))
    if labels is not None:
        (root / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))
    return root


def by_key(root):
    return {video.key: video for video in celebdf.videos(root)}


def test_one_marks_real_and_zero_fake_in_the_published_list(tmp_path):
    assert celebdf.test_list(make_set(tmp_path)) == {REALS[0]: REAL, FAKES[0]: FAKE}


def test_listed_videos_are_for_testing_and_the_rest_for_training(tmp_path):
    found = by_key(make_set(tmp_path))
    assert {key for key, video in found.items() if video.split == "test"} == {"id0_0003", "id0_id1_0003"}
    assert {key for key, video in found.items() if video.split == "train"} == {"id1_0000", "00007", "id1_id0_0000"}


def test_names_tell_label_people_and_source(tmp_path):
    found = by_key(make_set(tmp_path))
    fake = found["id0_id1_0003"]
    assert (fake.label, fake.identities, fake.source_key) == (FAKE, ("id0", "id1"), "id0_0003")
    assert (found["id0_0003"].label, found["id0_0003"].identities) == (REAL, ("id0",))
    assert (found["00007"].label, found["00007"].identities) == (REAL, ("youtube-00007",))
    assert {video.bytes for video in found.values()} == {3}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 Celeb-real/id1_0000.mp4", ":2: 0 marks fake in this list, but .* folder of real videos"),
        ("1 Celeb-synthesis/id1_id0_0000.mp4", ":2: 1 marks real in this list, but .* folder of fake videos"),
        ("2 Celeb-real/id1_0000.mp4", ":2: expected '1 PATH'"),
        ("Celeb-real/id1_0000.mp4", ":2: expected '1 PATH'"),
        ("1 ../Celeb-real/id1_0000.mp4", ":2: expected '1 PATH'"),
        ("1 Celeb-real/id1_0000.mp4\0", ":2: expected '1 PATH'"),
        ("1 Celeb-real/id0_0003.mp4", ":2: .* appears twice"),
    ],
)
def test_a_test_list_that_cannot_be_right_is_refused_by_line(tmp_path, line, message):
    with pytest.raises(ListingError, match=message) as caught:
        celebdf.videos(make_set(tmp_path, test=("1 Celeb-real/id0_0003.mp4", line)))
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_test_list_saved_on_windows_is_read(tmp_path):
    make_set(tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_bytes(b"\xef\xbb\xbf1 Celeb-real/id0_0003.mp4\r\n\r\n")
    assert celebdf.test_list(tmp_path) == {REALS[0]: REAL}


@pytest.mark.parametrize(("content", "message"), [(None, "comes with the set"), (b"\xff\x00", "not a text file")])
def test_without_its_test_list_the_set_is_refused(tmp_path, content, message):
    path = make_set(tmp_path) / "List_of_testing_videos.txt"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ListingError, match=message):
        celebdf.videos(tmp_path)


def test_a_partial_download_is_fine_and_its_gaps_are_named(tmp_path):
    root = make_set(tmp_path, test=("1 Celeb-real/id9_0000.mp4", "0 Celeb-synthesis/id0_id1_0003.mp4"))
    videos = celebdf.videos(root)
    assert len(videos) == 5
    assert celebdf.absent(root, videos) == ["Celeb-real/id9_0000.mp4"]


def test_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "real/a.mp4", "Celeb-DF-v2/Celeb-real/id0_0000.mp4")
    with pytest.raises(ListingError, match="looked for Celeb-real/id0_0000.mp4"):
        celebdf.videos(tmp_path)


def test_fake_frames_come_from_labels_beside_the_list(tmp_path):
    labels = {FAKES[0]: [[0, 10], [20, 30]], FAKES[1]: [[0, 60]], REALS[0]: []}
    found = by_key(make_set(tmp_path, labels=labels))
    assert found["id0_id1_0003"].fake_ranges == ((0, 10), (20, 30))
    assert found["id1_id0_0000"].fake_ranges == ((0, 60),)
    assert found["id0_0003"].fake_ranges == ()
    assert found["id1_0000"].fake_ranges is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("{", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ("[]", "expected an object of paths"),
        ({"../x.mp4": [[0, 1]]}, "1 of its paths are not there: ../x.mp4"),
        ({FAKES[0]: [0, 1]}, "expected a list of"),
        ({FAKES[0]: [[0, 1, 2]]}, "expected a list of"),
        ({FAKES[0]: [[0, 1.5]]}, "expected a list of"),
        ({FAKES[0]: [[False, True]]}, "expected a list of"),
        ({FAKES[0]: None}, "expected a list of"),
        ({FAKES[0]: "0:1"}, "expected a list of"),
        ({FAKES[0]: []}, "a fake has some"),
        ({FAKES[0]: [[5, 5]]}, "not FIRST to END"),
        ({FAKES[0]: [[-5, 5]]}, "not FIRST to END"),
        ({REALS[0]: [[0, 5]]}, "a real none"),
    ],
)
def test_labels_that_cannot_be_right_are_refused_in_one_line(tmp_path, labels, message):
    with pytest.raises(ListingError, match=message) as caught:
        celebdf.videos(make_set(tmp_path, labels=labels))
    assert "\n" not in str(caught.value)


def test_the_published_test_list_reads_without_a_contradiction(shared, tmp_path):
    text = (shared / "data/meta/celebdf_List_of_testing_videos.txt").read_text()
    (tmp_path / "List_of_testing_videos.txt").write_text(text)
    labels = celebdf.test_list(tmp_path)
    assert len(labels) == len(text.splitlines())
    assert sum(label == FAKE for label in labels.values()) == 340
