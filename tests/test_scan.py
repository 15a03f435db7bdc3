import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from conftest import ROOT
from dualface import manifest, scan
from dualface.datasets import celebdf, dfd, dfdc
from dualface.datasets.inventory import Group, Inventory
from dualface.errors import ListingError
from dualface.label import FAKE
from rows import make_video, touch

LISTING = Path("data/sources/mine.csv")


def told(*videos, root=Path("/data"), notes=()):
    return scan.told(Inventory(root, list(videos), tuple(notes)), listing=LISTING)


def told_of(dataset, root):
    return scan.told(scan.scan(dataset, root), listing=LISTING)


def refused(dataset, root):
    with pytest.raises(ListingError) as caught:
        scan.scan(dataset, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_data_set_is_refused_with_those_known(tmp_path):
    with pytest.raises(ListingError, match="'dfdx' is unknown; known: ffpp, dfd, celebdf, dfdc, folder"):
        scan.scan("dfdx", tmp_path)


@pytest.mark.parametrize("dataset", ["celebdf", "dfdc", "folder"])
def test_options_of_another_data_set_are_refused(tmp_path, dataset):
    with pytest.raises(ListingError, match=f"{dataset} has no qualities to choose from; ffpp and dfd have"):
        scan.scan(dataset, tmp_path, qualities=("c23",))
    for one in (dataset, "dfd"):
        with pytest.raises(ListingError, match=f"{one} has no methods to choose from; only ffpp has"):
            scan.scan(one, tmp_path, methods=("Deepfakes",))


FILES = {
    "celebdf": ["Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4"],
    "ffpp": ["original_sequences/youtube/c23/videos/071.mp4"],
    "dfd": ["original_sequences/actors/c23/videos/01__kitchen_pan.mp4"],
    "dfdc": ["dfdc_train_part_0/abcdefghij.mp4", "dfdc_train_part_0/metadata.json"],
    "folder": ["real/a.mp4", "fake/b.mp4"],
}


@pytest.mark.parametrize(("asked", "lying"), list(permutations(FILES, 2)))
def test_a_set_that_is_not_there_is_refused_with_the_command_for_the_one_that_is(tmp_path, asked, lying):
    root = tmp_path / "my sets"
    touch(root, *FILES[lying], content=b"{}")
    message = refused(asked, root)
    assert "looked for" in message
    assert message.endswith(f"try: dualface scan {lying} '{root}'")


@pytest.mark.parametrize("dataset", ["celebdf", "ffpp", "dfd", "folder"])
def test_a_root_one_level_off_is_refused_with_the_right_one(tmp_path, dataset):
    root = tmp_path / "above/set"
    touch(root, *FILES[dataset])
    for wrong in (root.parent, tmp_path, (root / FILES[dataset][0]).parent):
        assert refused(dataset, wrong).endswith(f"; try: dualface scan {dataset} {root}")


def test_a_root_is_named_as_the_user_would(tmp_path, monkeypatch):
    touch(tmp_path / "sets/celeb", *FILES["celebdf"])
    monkeypatch.chdir(tmp_path)
    assert refused("celebdf", Path("sets")).endswith("; try: dualface scan celebdf sets/celeb")
    assert refused("ffpp", Path()).endswith("; this looks like Celeb-DF; try: dualface scan celebdf sets/celeb")


def test_where_no_set_is_recognised_what_there_is_is_told(tmp_path):
    assert refused("dfdc", tmp_path).endswith("; there is no video file at all")
    touch(tmp_path, "a.mp4", "b/c.mov")
    assert refused("celebdf", tmp_path).endswith("; there are other videos, of no layout known here: a.mp4, b/c.mov")
    (tmp_path / "b").rename(tmp_path / "real")
    assert refused("folder", tmp_path / "real").endswith("of no layout known here: c.mov")
    touch(tmp_path, "parts/dfdc_train_part_0/too/deep.mp4")
    assert refused("dfdc", tmp_path / "parts").endswith("here: dfdc_train_part_0/too/deep.mp4")


@pytest.mark.parametrize("dataset", FILES)
def test_what_is_no_folder_is_refused(tmp_path, dataset):
    assert "no such folder" in refused(dataset, tmp_path / "gone")


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
        video.key: scan.next_steps(
            Inventory(root, [video, replace(video, key="f", label=FAKE)]), listing=Path("mine.csv")
        )
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
    videos = [make_video(f"v{split}{fake}", split=split, fake=fake) for split in splits for fake in (False, True)]
    steps = scan.next_steps(Inventory(Path("/data"), videos), listing=Path("mine.csv"))
    assert "dvc exp run -S ingest.listing=mine.csv " in steps
    for name, (source, share) in (("val", val), ("test", test)):
        assert f"-S subset.{name}.take_from={source} -S subset.{name}.share={share}" in steps
    assert "on_overlap" not in steps
    same = [make_video("a", "anna", split="train"), make_video("b", "anna", split="test", fake=True)]
    assert "-S subset.on_overlap=count" in scan.next_steps(Inventory(Path("/data"), same), listing=Path("mine.csv"))


@pytest.mark.parametrize("fake", [True, False])
def test_with_one_class_only_there_is_nothing_to_run_yet(fake):
    steps = scan.next_steps(Inventory(Path("/data"), [make_video("a", fake=fake)]), listing=Path("mine.csv"))
    assert f"without a {'real' if fake else 'fake'} video" in steps
    assert "dvc" not in steps


def test_the_groups_of_the_full_set_are_told():
    groups = (Group("reals", 3, 1, missing_names=("b", "c")),)
    text = scan.told(Inventory(Path("/data"), [make_video("a")], title="the set", groups=groups), listing=LISTING)
    assert "\nreals         3        1        2      0  b, c\n" in text
    assert "\n1 of 3 videos of the set: a part of the set, which is fine\n" in text


def test_notes_name_what_a_user_should_know(tmp_path):
    touch(tmp_path, "Celeb-real/id0_0001.mp4", "Celeb-real/id0_0002.mp4", "Celeb-real/notes (1).mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 Celeb-real/id0_0001.mp4\n0 Celeb-synthesis/id0_id1_0001.mp4"
    )
    text = told_of("celebdf", tmp_path)
    assert text.startswith("2 videos under ")
    assert "- not here: 1 video of the test list: Celeb-synthesis/id0_id1_0001.mp4\n" in text
    assert "- in more than one of its splits: 1 person (id0); to accept that" in text
    assert "- there is no fake video; both classes are needed\n" in text
    assert "- not listed: 1 video file not of the set: Celeb-real/notes (1).mp4\n" in text


def test_a_set_without_test_split_or_identities_says_so_and_what_is_empty(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    touch(tmp_path, "real/c.mp4", content=b"")
    text = told_of("folder", tmp_path)
    assert "no identities are known" in text
    assert "- empty: 1 file: real/c.mp4\n" in text


def test_fakes_whose_fake_frames_are_known_are_counted(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    (tmp_path / "list.csv").write_text("path,label,frames\na.mp4,real,none\nb.mp4,fake,0:5\nc.mp4,fake,\n")
    assert "- known frame by frame: what is fake in 1 video\n" in told_of("folder", tmp_path / "list.csv")


def test_a_csv_is_relative_to_its_own_folder(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    (tmp_path / "list.csv").write_text("path,label,split\na.mp4,real,val\nb.mp4,fake,\n")
    found = scan.scan("folder", tmp_path / "list.csv")
    assert found.root == tmp_path
    assert len(found.videos) == 2
    assert "- in no official split: 1 video, counted as train\n" in told_of("folder", tmp_path / "list.csv")


def test_a_partial_set_ends_with_the_share_that_it_is(shared):
    assert "\n34 of 10,000 videos of FaceForensics++ at c23 and c40: a part" in told_of("ffpp", shared / "data/ffpp")
    assert "\n1 of 119,154 videos of the DFDC training set: a part" in told_of("dfdc", shared / "data/dfdc")
    assert refused("dfd", shared / "data/ffpp").endswith(f"dualface scan ffpp {shared / 'data/ffpp'}")


def test_the_page_on_data_sets_has_each_of_them_and_the_counts_that_scans_expect():
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| [`")}
    assert list(rows) == ["ffpp", "dfd", "celebdf", "dfdc", "folder"]
    assert set(rows) == set(scan.DATASETS)
    reals, youtube, fakes = celebdf.FOLDERS.values()
    assert f"| {reals + youtube} | {fakes:,} |" in rows["celebdf"]
    assert f"| {dfd.ORIGINALS} | {dfd.FAKES:,} |" in rows["dfd"]
    assert f"{dfdc.CLIPS:,} clips of 10 s of paid actors, in {dfdc.PARTS} parts" in page
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in page.splitlines()
        if line[:3] == "## "
    }
    assert set(re.findall(r"\(#([a-z0-9-]+)\)", page)) <= anchors
