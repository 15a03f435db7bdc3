import pytest

from dualface.datasets import dfd
from dualface.datasets.inventory import NoVideos
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from rows import touch

ORIGINAL = "original_sequences/actors/{}/videos/{}.mp4"
FAKED = "manipulated_sequences/DeepFakeDetection/{}/videos/{}.mp4"


def make_set(root):
    touch(root, *(ORIGINAL.format(quality, "01__exit_phone_room") for quality in ("c23", "c40")))
    touch(
        root,
        FAKED.format("c23", "01_02__exit_phone_room__YVGY8LOK"),
        FAKED.format("c23", "03_01__kitchen_pan__0A1B2C3D"),
    )
    return root


def test_names_tell_label_actors_quality_and_source(tmp_path):
    found = {video.key: video for video in dfd.inventory(make_set(tmp_path)).videos}
    assert len(found) == 4
    real, fake = (
        found["actors-c23-01__exit_phone_room"],
        found["DeepFakeDetection-c23-01_02__exit_phone_room__YVGY8LOK"],
    )
    assert (real.label, real.identities, real.quality, real.method) == (REAL, ("actor-01",), "c23", None)
    assert (fake.label, fake.quality, fake.method) == (FAKE, "c23", "DeepFakeDetection")
    assert fake.identities == ("actor-01", "actor-02")  # the one filmed, then the one put on
    assert fake.source_key == real.key
    assert {video.dataset for video in found.values()} == {"dfd"}


def test_there_is_no_official_split(tmp_path):
    assert {video.split for video in dfd.inventory(make_set(tmp_path)).videos} == {None}


def test_what_is_missing_is_counted_and_the_originals_of_fakes_named(tmp_path):
    original, fakes, other_quality, _ = dfd.inventory(make_set(tmp_path)).groups
    assert (original.name, original.expected, original.there) == ("original c23", 363, 1)
    assert original.missing_names == ("03__kitchen_pan.mp4",)
    assert (fakes.name, fakes.expected, fakes.there, fakes.missing_names) == ("DeepFakeDetection c23", 3068, 2, ())
    assert (other_quality.name, other_quality.there) == ("original c40", 1)


def test_a_complete_quality_reads_as_complete(tmp_path):
    touch(
        tmp_path,
        *(ORIGINAL.format("c23", f"{number % 28:02}__scene_{'x' * (number // 28 + 1)}") for number in range(363)),
    )
    codes = (f"{number % 28:02}_{(number + 1) % 28:02}__scene_x__{number:08}" for number in range(3068))
    touch(tmp_path, *(FAKED.format("c23", code) for code in codes))
    found = dfd.inventory(tmp_path)
    assert all(group.is_complete for group in found.groups)
    assert (found.title, found.notes, found.unlisted) == ("DFD at c23", (), ())


def test_a_quality_can_be_chosen(tmp_path):
    found = dfd.inventory(make_set(tmp_path), qualities=("c40",))
    assert [video.key for video in found.videos] == ["actors-c40-01__exit_phone_room"]
    assert [group.name for group in found.groups] == ["original c40", "DeepFakeDetection c40"]
    with pytest.raises(ListingError, match="no video for raw, .* there are: 2 DeepFakeDetection c23, 1 original c23"):
        dfd.inventory(tmp_path, qualities=("raw",))


def test_faceforensics_in_the_same_folder_is_told_apart(tmp_path):
    make_set(tmp_path)
    touch(tmp_path, "original_sequences/youtube/c23/videos/000.mp4", "a.mp4")
    touch(tmp_path, "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4", FAKED.format("c23", "odd"))
    found = dfd.inventory(tmp_path, qualities=("c23",))
    assert "not listed: 2 videos of FaceForensics++; for those, `dualface scan ffpp ROOT`" in found.notes
    assert found.unlisted == ("a.mp4", FAKED.format("c23", "odd"))


@pytest.mark.parametrize(
    "path",
    [
        ORIGINAL.format("c23", "1__exit_phone_room"),
        ORIGINAL.format("c23", "01_exit_phone_room"),
        ORIGINAL.format("c23", "01__Exit"),
        ORIGINAL.format("c24", "01__exit_phone_room"),
        FAKED.format("c23", "01_02__exit_phone_room"),
        FAKED.format("c23", "01_02__exit_phone_room__short"),
        FAKED.format("c23", "01__exit_phone_room"),
        "original_sequences/youtube/c23/videos/01__exit_phone_room.mp4",
    ],
)
def test_paths_outside_the_layout_are_none_of_it(path):
    assert dfd.parsed(path, 1) is None


def test_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "original_sequences/youtube/c23/videos/000.mp4")
    with pytest.raises(NoVideos, match="looked for original_sequences/actors/c23/videos/01__exit_phone_room.mp4"):
        dfd.inventory(tmp_path)
