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
    return {video.key: video for video in celebdf.inventory(root).videos}


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
        celebdf.inventory(make_set(tmp_path, test=("1 Celeb-real/id0_0003.mp4", line)))
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
        celebdf.inventory(tmp_path)


def test_a_partial_download_is_fine_and_its_gaps_are_named(tmp_path):
    root = make_set(tmp_path, test=("1 Celeb-real/id9_0000.mp4", "0 Celeb-synthesis/id0_id1_0003.mp4"))
    found = celebdf.inventory(root)
    assert len(found.videos) == 5
    assert "not here: 1 video of the test list: Celeb-real/id9_0000.mp4" in found.notes


def full_set():
    """Names as many as the full set has, and a test list with as many of each as the published one."""
    reals = [f"Celeb-real/id{person}_{clip:04}.mp4" for person in range(59) for clip in range(10)]
    strangers = [f"YouTube-real/{number:05}.mp4" for number in range(300)]
    fakes = [f"Celeb-synthesis/id{number % 59}_id{60 + number // 590}_{number:04}.mp4" for number in range(5639)]
    tested = dict.fromkeys(reals[:108] + strangers[:70], REAL) | dict.fromkeys(fakes[:340], FAKE)
    return reals, strangers, fakes, tested


def test_a_complete_set_reads_as_complete():
    reals, strangers, fakes, tested = full_set()
    groups = celebdf.groups({*reals, *strangers, *fakes}, tested)
    assert [(group.name, group.there) for group in groups] == [
        ("Celeb-real", 590),
        ("YouTube-real", 300),
        ("Celeb-synthesis", 5639),
    ]
    assert all(group.is_complete for group in groups)


def test_what_a_partial_set_lacks_is_counted_and_where_the_test_list_has_it_named():
    reals, _, fakes, tested = full_set()
    real, youtube, fake = celebdf.groups({*reals, *fakes} - {reals[3], reals[-1], fakes[-1]}, tested)
    assert (real.missing, real.missing_names) == (2, (reals[3],))
    assert (youtube.there, youtube.missing, len(youtube.missing_names)) == (0, 300, 70)
    assert (fake.missing, fake.missing_names) == (1, ())


def test_a_set_with_the_published_list_is_told_as_the_part_that_it_is(tmp_path):
    *_, tested = full_set()
    lines = [f"{'1' if label == REAL else '0'} {path}" for path, label in tested.items()]
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "YouTube-real/00299.mp4", "Celeb-real/notes (1).mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text("\n".join(lines))
    found = celebdf.inventory(tmp_path)
    assert [(group.there, group.expected) for group in found.groups] == [(1, 590), (1, 300), (0, 5639)]
    assert found.notes[0] == "the test list names 178 real and 340 fake videos, as published"
    assert found.notes[1].startswith("not here: 517 videos of the test list: Celeb-real/id0_0001.mp4, ")
    assert found.unlisted == ("Celeb-real/notes (1).mp4",)


def test_of_another_set_in_this_layout_nothing_is_missed(tmp_path):
    found = celebdf.inventory(make_set(tmp_path))
    assert found.groups == ()
    assert "1 real and 1 fake videos, not the 178 and 340 of Celeb-DF v2: it is another set" in found.notes[0]


def test_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "real/a.mp4", "Celeb-DF-v2/Celeb-real/id0_0000.mp4")
    with pytest.raises(ListingError, match="looked for Celeb-real/id0_0000.mp4"):
        celebdf.inventory(tmp_path)


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
        ({"../x.mp4": [[0, 1]]}, "1 of its paths are none of this layout: ../x.mp4"),
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
        celebdf.inventory(make_set(tmp_path, labels=labels))
    assert "\n" not in str(caught.value)


def test_the_published_test_list_reads_without_a_contradiction(shared, tmp_path):
    text = (shared / "data/meta/celebdf_List_of_testing_videos.txt").read_text()
    (tmp_path / "List_of_testing_videos.txt").write_text(text)
    labels = celebdf.test_list(tmp_path)
    assert len(labels) == len(text.splitlines())
    assert sum(label == FAKE for label in labels.values()) == 340
