import pytest

from dualface.datasets import layouts

FFPP = "original_sequences/youtube/c23/videos/000.mp4"
DFD = "original_sequences/actors/c23/videos/01__exit_phone_room.mp4"
CELEBDF = "Celeb-real/id0_0000.mp4"


@pytest.mark.parametrize(
    ("path", "dataset"),
    [(FFPP, "ffpp"), (DFD, "dfd"), (CELEBDF, "celebdf"), ("dfdc_train_part_7/abcdefghij.mp4", "dfdc")],
)
def test_a_video_tells_its_set_and_root(path, dataset):
    assert layouts.recognised([f"/data/sets/{path}"]) == [(dataset, "/data/sets")]


def test_the_folder_layout_takes_both_halves_in_one_place():
    assert layouts.recognised(["/data/real/x/a.mp4", "/data/fake/b.mp4"]) == [("folder", "/data")]
    assert layouts.recognised(["/data/real/a.mp4", "/other/fake/b.mp4"]) == []
    assert layouts.recognised(["/data/real.mp4", "/data/fake.mp4"]) == []


def test_a_list_of_labels_tells_dfdc_even_in_a_folder_of_another_name():
    assert layouts.recognised(["/data/sample/a.mp4"], lists=["/data/sample"]) == [("dfdc", "/data/sample")]
    both = layouts.recognised(["/data/dfdc_train_part_1/a.mp4"], lists=["/data/dfdc_train_part_1"])
    assert both == [("dfdc", "/data")]


def test_the_most_telling_layout_comes_first():
    paths = [f"/data/real/{CELEBDF}", f"/data/fake/{FFPP}", f"/data/fake/{DFD}"]
    assert [dataset for dataset, _ in layouts.recognised(paths)] == ["ffpp", "dfd", "celebdf", "folder"]


def test_other_videos_are_of_no_layout():
    assert layouts.recognised(["/data/a.mp4", "/data/Celeb-real/a.mp4"]) == []
