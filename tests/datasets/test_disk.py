import pytest

from dualface.datasets import disk
from dualface.errors import ListingError
from rows import touch


def test_video_files_come_sorted_with_their_sizes(tmp_path):
    touch(tmp_path, "b.mp4", "a/c.MOV", "a/notes.txt")
    touch(tmp_path, "a.webm", content=b"")
    assert list(disk.video_files(tmp_path).items()) == [("a.webm", 0), ("a/c.MOV", 3), ("b.mp4", 3)]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    touch(tmp_path, "a.mp4", "._a.mp4", ".cache/b.mp4")
    assert list(disk.video_files(tmp_path)) == ["a.mp4"]


def test_a_folder_named_like_a_video_is_none(tmp_path):
    touch(tmp_path, "a.mp4/b.mp4")
    assert list(disk.video_files(tmp_path)) == ["a.mp4/b.mp4"]


@pytest.mark.parametrize("name", ["link.mp4", "folder"])
def test_a_link_that_leads_out_is_refused(tmp_path, name):
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "a.mp4")
    touch(outside, "b.mp4")
    (root / name).symlink_to(outside / "b.mp4" if name.endswith("mp4") else outside)
    with pytest.raises(ListingError, match=f"{name}: a link that leads out of"):
        disk.video_files(root)


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    (tmp_path / "a.mp4").symlink_to("gone.mp4")
    with pytest.raises(ListingError, match=r"a\.mp4: a link to gone\.mp4, which is not there"):
        disk.video_files(tmp_path)


def test_a_link_inside_the_root_is_a_file_like_any_other(tmp_path):
    touch(tmp_path, "pool/a.mp4")
    (tmp_path / "b.mp4").symlink_to("pool/a.mp4")
    (tmp_path / "again").symlink_to("pool")
    assert list(disk.video_files(tmp_path)) == ["b.mp4", "pool/a.mp4"]


def test_a_name_that_is_no_text_is_refused(tmp_path):
    try:
        touch(tmp_path, "a\udcff.mp4")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes only names that are text")
    with pytest.raises(ListingError, match="not valid UTF-8"):
        disk.video_files(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ListingError, match="no such folder"):
        disk.video_files(tmp_path / "gone")
    touch(tmp_path, "a.mp4")
    with pytest.raises(ListingError, match="is a file, not a folder"):
        disk.video_files(tmp_path / "a.mp4")


def test_few_names_are_shown_of_many():
    assert disk.few(["a", "b", "c", "d"]) == "a, b, c, ..."
    assert disk.few(["a"]) == "a"
