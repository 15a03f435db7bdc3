import json
from collections import Counter

import pytest

from dualface.datasets import ffpp
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from rows import touch

ORIGINAL = "original_sequences/youtube/{}/videos/{}.mp4"
FAKED = "manipulated_sequences/{}/{}/videos/{}.mp4"


def make_set(root):
    touch(
        root,
        *(ORIGINAL.format(quality, clip) for quality in ("c23", "c40") for clip in ("071", "054", "953")),
        *(FAKED.format(method, "c23", "071_054") for method in ffpp.METHODS),
        FAKED.format("Deepfakes", "c40", "054_071"),
    )
    return root


def test_the_package_holds_the_official_pairs():
    assert Counter(ffpp.official_splits().values()) == {"train": 720, "val": 140, "test": 140}
    assert set(ffpp.official_splits()) == {f"{number:03}" for number in range(1000)}


def test_the_pairs_are_those_published(shared):
    for split in ("train", "val", "test"):
        pairs = json.loads((shared / f"data/meta/ffpp_split_{split}.json").read_text())
        assert all(ffpp.split_of(tuple(pair)) == split == ffpp.split_of(tuple(pair[::-1])) for pair in pairs)


def test_names_tell_label_people_method_quality_split_and_source(tmp_path):
    found = {video.key: video for video in ffpp.videos(make_set(tmp_path))}
    real, fake = found["original-c23-071"], found["Face2Face-c23-071_054"]
    assert (real.label, real.identities, real.quality, real.method) == (REAL, ("071",), "c23", None)
    assert (fake.label, fake.identities, fake.quality, fake.method) == (FAKE, ("071", "054"), "c23", "Face2Face")
    assert fake.source_key == real.key
    assert (real.split, fake.split, found["original-c23-953"].split) == ("train", "train", "test")
    assert len(found) == 6 + 5 + 1


def test_qualities_and_methods_can_be_chosen(tmp_path):
    make_set(tmp_path)
    chosen = ffpp.videos(tmp_path, qualities=("c23",), methods=("Deepfakes", "FaceSwap"))
    assert {video.quality for video in chosen} == {"c23"}
    assert {video.method for video in chosen} == {None, "Deepfakes", "FaceSwap"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"qualities": ("raw",)}, "raw"),
        ({"qualities": ("c40",), "methods": ("Face2Face",)}, "Face2Face"),
        ({"methods": ("Unheard",)}, "Unheard"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_named(tmp_path, options, name):
    with pytest.raises(ListingError, match=f"no video for {name}, .* there are: .*1 Deepfakes c40.*3 original c40"):
        ffpp.videos(make_set(tmp_path), **options)


def test_ids_of_two_splits_or_of_none_have_no_split():
    assert ffpp.split_of(("071", "953")) is None
    assert ffpp.split_of(("xyz",)) is None


@pytest.mark.parametrize(
    "path",
    [
        "original_sequences/youtube/c23/videos/71.mp4",
        "original_sequences/actors/c23/videos/071.mp4",
        "manipulated_sequences/Deepfakes/c24/videos/071_054.mp4",
        "manipulated_sequences/Deepfakes/c23/masks/videos/071_054.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4.mp4",
    ],
)
def test_paths_outside_the_layout_are_none_of_it(path):
    assert ffpp.parsed(path, 1) is None


def test_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "ffpp/original_sequences/youtube/c23/videos/000.mp4")
    with pytest.raises(ListingError, match="looked for original_sequences/youtube/c23/videos/000.mp4"):
        ffpp.videos(tmp_path)


def test_the_real_slice_is_read_whole(shared):
    root = shared / "data/ffpp"
    found = ffpp.videos(root)
    assert len(found) == len(list(root.rglob("*.mp4")))
    split = {video.identities[0]: video.split for video in found if video.label == REAL}
    assert (split["183"], split["585"], split["519"], split["634"]) == ("train", "val", "train", "test")
    assert all(video.split == split[video.identities[0]] for video in found)
