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
    found = {video.key: video for video in ffpp.inventory(make_set(tmp_path)).videos}
    real, fake = found["original-c23-071"], found["Face2Face-c23-071_054"]
    assert (real.label, real.identities, real.quality, real.method) == (REAL, ("071",), "c23", None)
    assert (fake.label, fake.identities, fake.quality, fake.method) == (FAKE, ("071", "054"), "c23", "Face2Face")
    assert fake.source_key == real.key
    assert (real.split, fake.split, found["original-c23-953"].split) == ("train", "train", "test")
    assert len(found) == 6 + 5 + 1


def test_qualities_and_methods_can_be_chosen(tmp_path):
    make_set(tmp_path)
    chosen = ffpp.inventory(tmp_path, qualities=("c23",), methods=("Deepfakes", "FaceSwap")).videos
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
        ffpp.inventory(make_set(tmp_path), **options)


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
        ffpp.inventory(tmp_path)


def make_full(root, *, quality="c23", methods=ffpp.FIRST_METHODS):
    """Make all names of one quality."""
    touch(root, *(ORIGINAL.format(quality, clip) for clip in ffpp.official_splits()))
    pairs = [f"{one}_{other}" for pair in ffpp.official_pairs() for one, other in (pair, pair[::-1])]
    touch(root, *(FAKED.format(method, quality, pair) for method in methods for pair in pairs))


def test_a_complete_quality_reads_as_complete(tmp_path):
    make_full(tmp_path, methods=ffpp.METHODS)
    found = ffpp.inventory(tmp_path)
    assert [group.name for group in found.groups] == ["original c23", *(f"{one} c23" for one in ffpp.METHODS)]
    assert all(group.is_complete and group.expected == 1000 for group in found.groups)
    assert (found.title, found.notes, found.unlisted) == ("FaceForensics++ at c23", (), ())


def by_group(found):
    return {group.name: group for group in found.groups}


def test_what_is_missing_and_what_is_extra_is_named(tmp_path):
    touch(tmp_path, ORIGINAL.format("c40", "000"), FAKED.format("Face2Face", "c40", "000_003"))
    touch(tmp_path, FAKED.format("Face2Face", "c40", "003_001"))
    group = by_group(ffpp.inventory(tmp_path))
    assert set(group) == {f"{one} c40" for one in ("original", *ffpp.FIRST_METHODS)}
    assert (group["original c40"].missing, group["original c40"].missing_names[:2]) == (999, ("001.mp4", "002.mp4"))
    assert (group["Face2Face c40"].there, group["Face2Face c40"].missing) == (1, 999)
    assert group["Face2Face c40"].extra_names == ("003_001.mp4",)
    assert (group["Deepfakes c40"].there, group["Deepfakes c40"].missing) == (0, 1000)


def test_both_directions_of_a_pair_are_expected(tmp_path):
    touch(tmp_path, ORIGINAL.format("c23", "071"))
    missing = by_group(ffpp.inventory(tmp_path))["FaceSwap c23"].missing_names
    assert {"071_054.mp4", "054_071.mp4"} <= set(missing)


def test_only_what_was_asked_for_is_expected(tmp_path):
    found = ffpp.inventory(make_set(tmp_path), qualities=("c23",), methods=("Deepfakes",))
    assert [(group.name, group.there) for group in found.groups] == [("original c23", 3), ("Deepfakes c23", 1)]
    assert found.title == "FaceForensics++ (Deepfakes only) at c23"
    assert found.notes == ("not asked for: 8 more videos of the set",)


def test_faceshifter_is_missed_only_where_some_of_it_is_there_or_asked_for(tmp_path):
    touch(tmp_path, ORIGINAL.format("c23", "071"))
    assert "FaceShifter c23" not in by_group(ffpp.inventory(tmp_path))
    touch(tmp_path, FAKED.format("FaceShifter", "c23", "071_054"))
    assert by_group(ffpp.inventory(tmp_path))["FaceShifter c23"].missing == 999


def test_masks_dfd_and_strangers_are_told_apart(tmp_path):
    touch(tmp_path, ORIGINAL.format("c23", "071"), "downloaded_videos/a.mp4", FAKED.format("Deepfakes", "c23", "71_54"))
    touch(tmp_path, "manipulated_sequences/Deepfakes/masks/videos/071_054.mp4")
    touch(tmp_path, "manipulated_sequences/DeepFakeDetection/masks/videos/01_02__kitchen_pan__AAAAAAAA.mp4")
    touch(tmp_path, "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__kitchen_pan__AAAAAAAA.mp4")
    touch(tmp_path, "original_sequences/actors/c23/videos/01__kitchen_pan.mp4")
    found = ffpp.inventory(tmp_path)
    assert found.notes == (
        "not listed: 2 videos under masks/ (where fakes were changed)",
        "not listed: 2 videos of DFD; for those, `dualface scan dfd ROOT`",
    )
    assert found.unlisted == ("downloaded_videos/a.mp4", FAKED.format("Deepfakes", "c23", "71_54"))


def test_several_qualities_are_told_with_the_way_to_take_one(tmp_path):
    touch(tmp_path, *(ORIGINAL.format(quality, "071") for quality in ("raw", "c23", "c40")))
    found = ffpp.inventory(tmp_path)
    assert "listed at raw, c23 and c40" in found.notes[0]
    assert "--quality c23" in found.notes[0]
    assert found.title == "FaceForensics++ at raw, c23 and c40"


def test_the_real_slice_is_read_whole(shared):
    root = shared / "data/ffpp"
    found = ffpp.inventory(root).videos
    assert len(found) == len(list(root.rglob("*.mp4")))
    split = {video.identities[0]: video.split for video in found if video.label == REAL}
    assert (split["183"], split["585"], split["519"], split["634"]) == ("train", "val", "train", "test")
    assert all(video.split == split[video.identities[0]] for video in found)
    group = by_group(ffpp.inventory(root))
    assert (group["original c40"].there, group["original c40"].missing_names[0]) == (6, "000.mp4")
    assert sum(one.there for one in group.values()) == 34
    assert sum(one.expected for one in group.values()) == 10_000
    assert not any(one.extra for one in group.values())
