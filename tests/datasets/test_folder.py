import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualface import key as keys
from dualface.datasets import folder
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from rows import touch


def test_the_folder_tells_the_label_at_any_depth(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/a.mp4", "fake/deep/er/b.mkv", "other/c.mp4", "real.mp4")
    labels = {video.path: video.label for video in folder.inventory(tmp_path).videos}
    assert labels == {"real/a.mp4": REAL, "fake/a.mp4": FAKE, "fake/deep/er/b.mkv": FAKE}


def test_names_that_could_collide_get_keys_of_their_own(tmp_path):
    names = ["real/a.mp4", "fake/a.mp4", "real/x/a.mp4", "real/y/a.mp4", "real/a.mov", "real/a.MP4", "real/a b.mp4"]
    names += ["real/a_b.mp4", "real/тест.mp4", "real/测试.mp4", "real/a.b.mp4", f"real/{'n' * 200}.mp4"]
    touch(tmp_path, *names)
    found = {video.path: video.key for video in folder.inventory(tmp_path).videos}
    assert set(found) == set(names)
    assert len(set(found.values())) == len(names)
    assert (found["real/a.mp4"], found["fake/a.mp4"]) == ("real-a", "fake-a")


def test_keys_stay_when_files_are_added(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b c.mp4")
    before = {video.path: video.key for video in folder.inventory(tmp_path).videos}
    touch(tmp_path, "fake/a.mp4", "real/deep/a.mp4", "real/a.avi", "fake/b_c.mp4")
    after = {video.path: video.key for video in folder.inventory(tmp_path).videos}
    assert before.items() <= after.items()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, min_size=2, max_size=4))
def test_any_name_makes_a_valid_key(names):
    made = [folder.key_of(f"real/{name}.mp4") for name in names]
    assert all(keys.is_valid(key) for key in made)


def test_each_video_is_a_person_of_its_own(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/a.mp4")
    assert [video.identities for video in folder.inventory(tmp_path).videos] == [("fake-a",), ("real-a",)]


def test_an_empty_folder_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "a.mp4", "real/notes.txt")
    with pytest.raises(ListingError, match=r"looked for files under .*real and .*fake that end in \.mp4"):
        folder.inventory(tmp_path)


def make_csv(root, text, *, files=("a.mp4", "b.mp4", "in/c.mp4")):
    touch(root, *files)
    (root / "list.csv").write_text(text, encoding="utf-8")
    return root / "list.csv"


def test_a_csv_tells_all_it_may(tmp_path):
    path = make_csv(
        tmp_path,
        "path,label,identity,split,frames\na.mp4,real,ann,train,\nb.mp4,FAKE,bob+ann,test,0:5 7:9\nin/c.mp4,1,,,\n",
    )
    first, second, third = sorted(folder.inventory(path).videos, key=lambda video: video.path)
    assert (first.key, first.label, first.identities, first.split, first.fake_ranges) == (
        "a",
        REAL,
        ("ann",),
        "train",
        None,
    )
    assert (second.label, second.identities, second.split) == (FAKE, ("bob", "ann"), "test")
    assert second.fake_ranges == ((0, 5), (7, 9))
    assert (third.label, third.split, third.identities) == (FAKE, None, (third.key,))


def test_one_means_fake_in_a_csv(tmp_path):
    found = folder.inventory(make_csv(tmp_path, "path,label\na.mp4,1\nb.mp4,0\n")).videos
    assert {video.key: video.label for video in found} == {"a": FAKE, "b": REAL}


def test_a_csv_saved_by_a_spreadsheet_is_read(tmp_path):
    path = make_csv(tmp_path, "")
    path.write_bytes("path,label\r\n./a.mp4 , real\r\n".encode("utf-8-sig"))
    assert [video.path for video in folder.inventory(path).videos] == ["a.mp4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 'path' is missing"),
        ("path,label\n", "lists no videos"),
        ("path;label\na.mp4;real\n", "column 'path' is missing"),
        ("path,label,identities\n", "column 'identities' is unknown"),
        ("path,label,label\n", "column 'label' is there twice"),
        ("path,label\na.mp4\n", ":2: has more or fewer cells"),
        ("path,label\na.mp4,real,x\n", ":2: has more or fewer cells"),
        ("path,label\na.mp4,2\n", ":2: label '2' is neither"),
        ("path,label\na.mp4,\n", ":2: label '' is neither"),
        ("path,label\na.mp4,real\na.mp4,real\n", ":3: a.mp4 appears twice .*line 2"),
        ("path,label\na.mp4,real\n./a.mp4,real\n", ":3: a.mp4 appears twice .*line 2"),
        ("path,label\n../a.mp4,real\n", ":2: path '../a.mp4' must be relative"),
        ("path,label\n/etc/passwd,real\n", ":2: path '/etc/passwd' must be relative"),
        ("path,label\na\0.mp4,real\n", "must be relative|not a readable CSV"),
        ("path,label\n,real\n", "must be relative"),
        ("path,label\nin,real\n", "1 of its 1 paths are no files .*in .line 2"),
        ("path,label\na.mp4,real\ngone.mp4,fake\n", "1 of its 2 paths are no files under .*gone.mp4 .line 3"),
        ("path,label,split\na.mp4,real,dev\n", ":2: split 'dev'"),
        ("path,label,frames\na.mp4,fake,9\n", ":2: ranges '9'"),
        ("path,label,frames\na.mp4,fake,9:2\n", "not FIRST to END"),
        ("path,label,frames\na.mp4,real,2:9\n", "a real none"),
        ('path,label\n"a.mp4,real\n', "not a readable CSV"),
    ],
)
def test_a_hostile_csv_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ListingError, match=message) as caught:
        folder.inventory(make_csv(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_video_given_as_list_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(range(256)))
    with pytest.raises(ListingError, match="not a readable CSV"):
        folder.inventory(tmp_path / "a.mp4")


def test_a_csv_does_not_follow_links_out_of_its_folder(tmp_path):
    touch(tmp_path, "secret.mp4")
    path = make_csv(tmp_path / "root", "path,label\nlink.mp4,real\n")
    (tmp_path / "root/link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(ListingError, match=":2: path 'link.mp4' is a link that leads out of"):
        folder.inventory(path)


def test_missing_files_are_told_with_their_lines(tmp_path):
    rows = "".join(f"gone{number}.mp4,real\n" for number in range(9))
    with pytest.raises(ListingError, match=r"9 of its 9 paths are no files .*gone0\.mp4 .line 2., .*\.\.\."):
        folder.inventory(make_csv(tmp_path, f"path,label\n{rows}"))


def test_files_beside_the_two_folders_are_told(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4", "other/c.mp4", "d.mp4")
    assert folder.inventory(tmp_path).unlisted == ("d.mp4", "other/c.mp4")
    assert folder.inventory(tmp_path).groups == ()
    (tmp_path / "list.csv").write_text("path,label\nd.mp4,real\n")
    assert folder.inventory(tmp_path / "list.csv").unlisted == ()
