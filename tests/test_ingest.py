import json

import pytest

from dualface import ingest, manifest
from dualface.errors import ListingError
from rows import make_video, plain_params, run_stage, touch

VIDEOS = [make_video("a", split="train"), make_video("b", "ann", split="test"), make_video("c", "ann", fake=True)]


def make_root(root):
    touch(root, "a.mp4", "b.mp4", "c.mp4")
    return root


def test_what_is_there_as_listed_passes(tmp_path):
    ingest.check(VIDEOS, make_root(tmp_path))


def test_missing_and_changed_files_are_counted_and_named(tmp_path):
    make_root(tmp_path)
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "b.mp4").unlink()
    touch(tmp_path, "c.mp4", content=b"other")
    message = (
        r"of 3 listed videos .*2 missing, first: a\.mp4, b\.mp4; 1 of another size, first: c\.mp4 .5 bytes, listed 3.*"
        r"dualface scan folder ROOT"
    )
    with pytest.raises(ListingError, match=message) as caught:
        ingest.check(VIDEOS, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_a_video_is_missing(tmp_path):
    make_root(tmp_path)
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(ListingError, match="1 missing"):
        ingest.check(VIDEOS, tmp_path)


@pytest.mark.parametrize(("kept", "there"), [(VIDEOS[:2], "2 real and 0 fake"), (VIDEOS[2:], "0 real and 1 fake")])
def test_both_classes_are_needed(tmp_path, kept, there):
    with pytest.raises(ListingError, match=there):
        ingest.check(kept, tmp_path)


def test_the_data_root_must_be_set_and_be_there(tmp_path):
    with pytest.raises(ListingError, match="export DUALFACE_DATA"):
        ingest.check(VIDEOS, None)
    with pytest.raises(ListingError, match="DUALFACE_DATA=.*gone: no such folder"):
        ingest.check(VIDEOS, tmp_path / "gone")


def test_counts_are_by_class_split_and_data_set():
    assert ingest.counts(VIDEOS) == {
        "videos": 3,
        "real": 2,
        "fake": 1,
        "identities": 2,
        "splits": {"train": {"real": 1, "fake": 0}, "test": {"real": 1, "fake": 0}, "none": {"real": 0, "fake": 1}},
        "datasets": {"folder": {"real": 2, "fake": 1}},
    }


def test_the_stage_turns_the_listing_into_the_manifest(tmp_path):
    make_root(tmp_path / "root")
    manifest.write_listing(tmp_path / "listing.csv", VIDEOS)
    params = {**plain_params(), "ingest": {"listing": "listing.csv"}}
    arguments = ("--manifest", "out/m.parquet", "--counts", "out/c.json")
    assert run_stage("ingest", *arguments, cwd=tmp_path, params=params, data="root") == (0, "")
    assert manifest.read(tmp_path / "out/m.parquet") == VIDEOS
    assert json.loads((tmp_path / "out/c.json").read_text())["videos"] == 3
    (tmp_path / "root/a.mp4").unlink()
    status, said = run_stage("ingest", *arguments, cwd=tmp_path, params=params, data="root")
    assert status == 1
    assert said.startswith("error: of 3 listed videos under root, 1 missing")
    assert said.count("\n") == 1
