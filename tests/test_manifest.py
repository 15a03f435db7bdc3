import csv
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualface import manifest
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from dualface.manifest import Video
from rows import make_video


def is_cell(text: str) -> bool:
    return text == text.strip()


words = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12).filter(is_cell)
ranges = st.lists(st.tuples(st.integers(0, 500), st.integers(501, 999)), min_size=1, max_size=3).map(tuple)


@st.composite
def rows(draw):
    fake = draw(st.booleans())
    return Video(
        key=draw(st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)),
        dataset=draw(words),
        path=draw(words.filter(lambda text: not set(text) & set("/\\") and text not in (".", ".."))),
        bytes=draw(st.integers(0, 10**15)),
        label=FAKE if fake else REAL,
        identities=tuple(draw(st.lists(words.filter(lambda text: "+" not in text), min_size=1, max_size=2))),
        source_key=draw(st.none() | words),
        method=draw(st.none() | words),
        quality=draw(st.none() | words),
        split=draw(st.sampled_from([None, "train", "val", "test"])),
        fake_ranges=draw(st.none() | (ranges if fake else st.just(()))),
    )


@settings(max_examples=60)
@given(videos=st.lists(rows(), min_size=1, max_size=5, unique_by=lambda video: video.key))
def test_listing_and_manifest_give_back_what_was_written(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("rows")
    by_key = sorted(videos, key=lambda video: video.key)
    manifest.write_listing(folder / "listing.csv", videos)
    assert manifest.read_listing(folder / "listing.csv") == by_key
    manifest.write(folder / "manifest.parquet", videos)
    assert manifest.read(folder / "manifest.parquet") == by_key


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path):
    videos = [make_video(key) for key in "cab"]
    for name, order in (("one", videos), ("two", videos[::-1])):
        manifest.write(tmp_path / f"{name}.parquet", order)
        manifest.write_listing(tmp_path / f"{name}.csv", order)
    for suffix in ("parquet", "csv"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "../x.mp4"}, "stay inside its root"),
        ({"path": "a/../../x.mp4"}, "stay inside its root"),
        ({"path": "/etc/passwd"}, "stay inside its root"),
        ({"path": "a\\b.mp4"}, "without '..' or backslashes"),
        ({"path": "."}, "stay inside its root"),
        ({"path": "a\0.mp4"}, "control characters"),
        ({"path": "a\n.mp4"}, "control characters"),
        ({"path": "a\udcff.mp4"}, "not UTF-8"),
        ({"path": " a.mp4"}, "blanks at an end"),
        ({"method": ""}, "empty"),
        ({"key": "a.b"}, "letters, digits"),
        ({"key": ""}, "letters, digits"),
        ({"label": 2}, "neither 0"),
        ({"bytes": -1}, "no file size"),
        ({"bytes": 2**63}, "no file size"),
        ({"identities": ()}, "no identity"),
        ({"identities": ("",)}, "empty"),
        ({"identities": ("a+b",)}, "what joins them"),
        ({"split": "dev"}, "not one of train, val, test"),
        ({"fake_ranges": ((0, 5),)}, "a fake has some, a real none"),
        ({"label": FAKE, "fake_ranges": ()}, "a fake has some, a real none"),
        ({"label": FAKE, "fake_ranges": ((5, 5),)}, "not FIRST to END"),
        ({"label": FAKE, "fake_ranges": ((0, 2**31),)}, "not FIRST to END"),
    ],
)
def test_a_row_that_breaks_the_contract_is_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(ListingError, match=message) as caught:
        manifest.write(tmp_path / "manifest.parquet", [replace(make_video("a"), **change)])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "manifest.parquet").exists()


def test_a_key_stands_once(tmp_path):
    with pytest.raises(ListingError, match="key 'a' appears twice"):
        manifest.write(tmp_path / "manifest.parquet", [make_video("a"), make_video("a", path="b.mp4")])


HEADER = "key,dataset,path,bytes,label,identities,source_key,method,quality,split,fake_ranges\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such listing; make one with `dualface scan"),
        (b"", "column 'key' is missing"),
        (b"path;label\n", "column 'key' is missing"),
        (HEADER.encode(), "lists no videos"),
        (b"\xff\xfe\x00\x00binary", "not a readable CSV"),
        (b"\x00\x01\x02" * 50, "column 'key' is missing"),
        ((HEADER + "a,folder,a.mp4,3,real\n").encode(), ":2: has more or fewer cells"),
        ((HEADER + "a,folder,a.mp4,3,real,a,,,,,,,\n").encode(), ":2: has more or fewer cells"),
        ((HEADER + "a,folder,a.mp4,3,genuine,a,,,,,\n").encode(), ":2: label 'genuine'"),
        ((HEADER + "a,folder,a.mp4,3,1,a,,,,,\n").encode(), ":2: label '1' is neither"),
        ((HEADER + "a,folder,a.mp4,many,real,a,,,,,\n").encode(), ":2: bytes 'many' is not a whole number"),
        ((HEADER + "a,folder,a.mp4,,real,a,,,,,\n").encode(), ":2: bytes '' is not a whole number"),
        ((HEADER + "a,folder,a.mp4,3,fake,a,,,,,1-5\n").encode(), ":2: ranges '1-5'"),
        ((HEADER + "a,folder,a.mp4,3,fake,a,,,,,1:2:3\n").encode(), ":2: ranges '1:2:3'"),
        ((HEADER + "a,folder,../a.mp4,3,real,a,,,,,\n").encode(), "video 'a': path '../a.mp4'"),
        ((HEADER + "a,folder,/a.mp4,3,real,a,,,,,\n").encode(), "video 'a': path '/a.mp4'"),
        ((HEADER + "a,folder,a\0.mp4,3,real,a,,,,,\n").encode(), "control characters|NUL"),
        ((HEADER + "a,folder,a.mp4,3,real,a,,,,,\n" * 2).encode(), "key 'a' appears twice"),
        ((HEADER + 'a,folder,"a.mp4,3,real,a,,,,,\n').encode(), "not a readable CSV"),
        ((HEADER + "a,folder," + "x" * 200_000 + ",3,real,a,,,,,\n").encode(), "not a readable CSV"),
    ],
)
def test_a_hostile_listing_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "listing.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ListingError, match=message) as caught:
        manifest.read_listing(path)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_listing_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "listing.csv"
    text = HEADER + "a,folder,a.mp4,3,Real,a,,,,,\n"
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert manifest.read_listing(path) == [make_video("a")]


def test_labels_stand_as_words_in_a_listing(tmp_path):
    manifest.write_listing(tmp_path / "listing.csv", [make_video("a"), make_video("b", fake=True)])
    with (tmp_path / "listing.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["real", "fake"]


def test_a_path_from_the_repository_needs_no_data_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert manifest.locate(make_video("a", path="./data/a.mp4"), None).as_posix() == "data/a.mp4"


def test_a_path_under_the_data_root_needs_one(tmp_path):
    assert manifest.locate(make_video("a"), tmp_path) == tmp_path / "a.mp4"
    with pytest.raises(ListingError, match="export DUALFACE_DATA"):
        manifest.locate(make_video("a"), None)


def test_links_that_lead_out_of_the_root_are_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.mp4").touch()
    (root / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(ListingError, match="leads out of"):
        manifest.locate(make_video("a"), root)


def test_a_ring_of_links_is_no_crash(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    assert not manifest.locate(make_video("a"), tmp_path).is_file()


def test_frames_bear_the_label_of_the_video_unless_ranges_are_known():
    index = np.array([0, 4, 5, 9, 10])
    fake = make_video("a", fake=True)
    assert manifest.frame_labels(fake, index).tolist() == [1, 1, 1, 1, 1]
    assert manifest.frame_labels(replace(fake, fake_ranges=((4, 5), (9, 10))), index).tolist() == [0, 1, 0, 1, 0]
    assert manifest.frame_labels(make_video("a"), index).tolist() == [0, 0, 0, 0, 0]
    assert manifest.frame_labels(fake, index).dtype == np.uint8


def test_one_file_is_one_video():
    listed = [make_video("a", path="a.mp4"), make_video("b", path="a.mp4", fake=True)]
    with pytest.raises(ListingError, match=r"path 'a\.mp4' appears twice"):
        manifest.checked(listed, where="here")


def test_a_listing_that_is_no_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ListingError, match="not a file"):
        manifest.read_listing(tmp_path / "pipe.csv")
