from pathlib import Path

import pytest

from dualface import manifest, scan
from dualface.errors import ListingError
from dualface.scan import Inventory
from rows import make_video, touch


def told(*videos, root=Path("/data"), notes=()):
    return scan.told(Inventory(root, list(videos), list(notes)), listing=Path("data/sources/mine.csv"))


def test_an_unknown_data_set_is_refused_with_those_known(tmp_path):
    with pytest.raises(ListingError, match="'dfdc' is unknown; known: celebdf, ffpp, folder"):
        scan.scan("dfdc", tmp_path)


def test_options_of_another_data_set_are_refused(tmp_path):
    with pytest.raises(ListingError, match="folder has no qualities or methods"):
        scan.scan("folder", tmp_path, qualities=("c23",))


def test_paths_inside_the_repository_start_from_it(tmp_path):
    touch(tmp_path, "data/mine/real/a.mp4", "data/mine/fake/b.mp4")
    found = scan.scan("folder", tmp_path / "data/mine")
    paths = [video.path for video in scan.from_repository(found, here=tmp_path).videos]
    assert paths == ["./data/mine/fake/b.mp4", "./data/mine/real/a.mp4"]
    inside = scan.from_repository(found, here=tmp_path / "data/mine").videos
    assert [video.path for video in inside] == ["./fake/b.mp4", "./real/a.mp4"]
    (tmp_path / "elsewhere").mkdir()
    assert scan.from_repository(found, here=tmp_path / "elsewhere") == found


def test_a_root_that_is_linked_into_the_repository_lies_outside_it(tmp_path):
    touch(tmp_path, "disk/real/a.mp4", "disk/fake/b.mp4")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/linked").symlink_to(tmp_path / "disk")
    found = scan.from_repository(scan.scan("folder", tmp_path / "repo/linked"), here=tmp_path / "repo")
    assert [video.path for video in found.videos] == ["fake/b.mp4", "real/a.mp4"]
    assert all(manifest.locate(video, tmp_path / "disk").is_file() for video in found.videos)


def test_the_inventory_counts_by_split_and_class():
    text = told(
        *(make_video(f"r{number}", split="train") for number in range(1200)),
        make_video("f", fake=True, split="train"),
        make_video("t", split="test"),
    )
    table = [line.split() for line in text.splitlines() if line.startswith(("split", "train", "test", "all"))]
    assert table == [
        ["split", "real", "fake", "all"],
        ["train", "1,200", "1", "1,201"],
        ["test", "1", "0", "1"],
        ["all", "1,201", "1", "1,202"],
    ]


def test_the_next_steps_name_the_data_root_only_where_one_is_needed(tmp_path):
    outside, inside = make_video("a"), make_video("b", path="./data/b.mp4")
    root = tmp_path / "my videos"
    steps = {
        video.key: scan.next_steps(Inventory(root, [video], []), listing=Path("mine.csv"))
        for video in (outside, inside)
    }
    assert f"export DUALFACE_DATA='{root}'" in steps["a"]
    assert "DUALFACE_DATA" not in steps["b"]
    assert "git add mine.csv" in steps["b"]


@pytest.mark.parametrize(
    ("splits", "val", "test"),
    [
        ((None,), ("train", "0.2"), ("train", "0.2")),
        (("train", "test"), ("train", "0.2"), ("test", "null")),
        (("train", "val", "test"), ("val", "null"), ("test", "null")),
    ],
)
def test_the_next_command_fits_the_splits_that_there_are(splits, val, test):
    videos = [make_video(f"v{number}", split=split) for number, split in enumerate(splits)]
    steps = scan.next_steps(Inventory(Path("/data"), videos, []), listing=Path("mine.csv"))
    assert "dvc exp run -S ingest.listing=mine.csv " in steps
    for name, (source, share) in (("val", val), ("test", test)):
        assert f"-S subset.{name}.take_from={source} -S subset.{name}.share={share}" in steps
    assert "on_overlap" not in steps
    same = [make_video("a", "anna", split="train"), make_video("b", "anna", split="test")]
    assert "-S subset.on_overlap=count" in scan.next_steps(Inventory(Path("/data"), same, []), listing=Path("mine.csv"))


def test_notes_name_what_a_user_should_know(tmp_path):
    touch(tmp_path, "Celeb-real/id0_0001.mp4", "Celeb-real/id0_0002.mp4", "Celeb-real/notes (1).mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 Celeb-real/id0_0001.mp4\n0 Celeb-synthesis/id0_id1_0001.mp4"
    )
    notes = "\n".join(scan.scan("celebdf", tmp_path).notes)
    assert "the test list names 1 real, 1 fake" in notes
    assert "1 videos of the test list are not there: Celeb-synthesis/id0_id1_0001.mp4" in notes
    assert "1 people are in more than one of its splits (id0)" in notes
    assert "there is no fake video" in notes
    assert "1 of 3 video files here were not listed: Celeb-real/notes (1).mp4" in notes


def test_a_set_without_test_split_or_identities_says_so_and_what_is_empty(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    touch(tmp_path, "real/c.mp4", content=b"")
    notes = "\n".join(scan.scan("folder", tmp_path).notes)
    assert "no identities are known" in notes
    assert "1 files are empty: real/c.mp4" in notes


def test_a_csv_is_relative_to_its_own_folder(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    (tmp_path / "list.csv").write_text("path,label,split\na.mp4,real,val\nb.mp4,fake,\n")
    found = scan.scan("folder", tmp_path / "list.csv")
    assert found.root == tmp_path
    assert len(found.videos) == 2
    notes = "\n".join(found.notes)
    assert "1 videos are in no official split and count as train" in notes
