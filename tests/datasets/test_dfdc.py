import json
from collections import Counter

import pytest

from dualface.datasets import dfdc, dfdc_parts
from dualface.datasets.inventory import NoVideos
from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from rows import touch

REAL_ENTRY = {"label": "REAL", "split": "train"}


def fake_of(original):
    return {"label": "FAKE", "split": "train", "original": original}


def make_part(folder, entries, *, there=None):
    """Make a part; without `there`, all clips that its list names."""
    folder.mkdir(parents=True, exist_ok=True)
    touch(folder, *(entries if there is None else there))
    if entries is not None:
        (folder / "metadata.json").write_text(json.dumps(entries))


def by_key(root):
    return {video.key: video for video in dfdc.inventory(root).videos}


def test_the_list_tells_label_split_and_source(tmp_path):
    make_part(tmp_path / "dfdc_train_part_3", {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")})
    found = by_key(tmp_path)
    real, fake = found["dfdc_train_part_3-a"], found["dfdc_train_part_3-b"]
    assert (real.label, real.source_key, real.split, real.path) == (REAL, None, "train", "dfdc_train_part_3/a.mp4")
    assert (fake.label, fake.source_key, fake.split, fake.bytes) == (FAKE, real.key, "train", 3)
    assert real.identities == fake.identities == (real.key,)


def test_a_part_alone_gives_the_keys_that_it_gives_among_others(tmp_path):
    make_part(tmp_path / "dfdc_train_part_3", {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")})
    assert set(by_key(tmp_path / "dfdc_train_part_3")) == set(by_key(tmp_path))


@pytest.mark.parametrize(
    "folder", ["dfdc_train_part_03/dfdc_train_part_3", "dfdc_train_part_03", "train/dfdc_train_part_3"]
)
def test_however_a_part_was_unzipped_its_keys_are_the_same(tmp_path, folder):
    make_part(tmp_path / folder, {"a.mp4": REAL_ENTRY})
    assert set(by_key(tmp_path)) == {"dfdc_train_part_3-a"}


def test_a_renamed_part_is_read_where_it_is_the_root(tmp_path):
    make_part(tmp_path / "mine", {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("c.mp4")})
    assert {key: video.path for key, video in by_key(tmp_path / "mine").items()} == {"a": "a.mp4", "b": "b.mp4"}
    with pytest.raises(NoVideos):
        dfdc.inventory(tmp_path)


def test_the_sample_of_kaggle_is_read_from_above_and_from_inside(tmp_path):
    make_part(tmp_path / "train_sample_videos", {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")})
    touch(tmp_path, "test_videos/c.mp4")
    for root, unlisted in ((tmp_path, ("test_videos/c.mp4",)), (tmp_path / "train_sample_videos", ())):
        found = dfdc.inventory(root)
        assert [video.key for video in found.videos] == ["train_sample_videos-a", "train_sample_videos-b"]
        assert (found.title, found.unlisted) == ("DFDC's training sample", unlisted)
        assert [(group.expected, group.missing) for group in found.groups] == [(2, 0)]


def test_clips_of_one_name_in_two_parts_do_not_collide(tmp_path):
    for number in (0, 1):
        make_part(tmp_path / f"dfdc_train_part_{number}", {"a.mp4": REAL_ENTRY})
    assert set(by_key(tmp_path)) == {"dfdc_train_part_0-a", "dfdc_train_part_1-a"}


def test_a_part_that_is_there_twice_is_refused(tmp_path):
    make_part(tmp_path / "dfdc_train_part_1", {"a.mp4": REAL_ENTRY})
    make_part(tmp_path / "dfdc_train_part_01/dfdc_train_part_01", {"a.mp4": REAL_ENTRY})
    with pytest.raises(ListingError, match=r"dfdc_train_part_1 is there twice, as .*01/dfdc_train_part_01 and"):
        dfdc.inventory(tmp_path)


def people(root):
    return {video.path.rsplit("/", 1)[-1]: video.identities for video in dfdc.inventory(root).videos}


def test_fakes_of_an_original_that_is_not_there_are_one_person(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"b.mp4": fake_of("gone.mp4"), "c.mp4": fake_of("gone.mp4")})
    make_part(tmp_path / "dfdc_train_part_1", {"d.mp4": fake_of("gone.mp4"), "e.mp4": fake_of("other.mp4")})
    found = people(tmp_path)
    assert found["b.mp4"] == found["c.mp4"] == found["d.mp4"] == ("dfdc_train_part_0-gone",)
    assert found["e.mp4"] == ("dfdc_train_part_1-other",)


def test_an_original_in_another_part_is_found_there(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"b.mp4": fake_of("a.mp4")})
    make_part(tmp_path / "dfdc_train_part_1", {"a.mp4": REAL_ENTRY})
    found = by_key(tmp_path)
    assert found["dfdc_train_part_0-b"].source_key == "dfdc_train_part_1-a"
    assert found["dfdc_train_part_0-b"].identities == found["dfdc_train_part_1-a"].identities


def test_a_clip_of_the_sample_and_the_same_of_a_part_are_one_person(tmp_path):
    for name in ("train_sample_videos", "dfdc_train_part_7"):
        make_part(tmp_path / name, {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")})
    found = by_key(tmp_path)
    assert len(found) == 4
    assert len({video.identities for video in found.values()}) == 1
    assert found["train_sample_videos-b"].source_key == "train_sample_videos-a"


@pytest.mark.parametrize(
    "originals",
    [
        {"b.mp4": "a.mp4", "c.mp4": "b.mp4", "d.mp4": "c.mp4"},  # a fake of a fake
        {"a.mp4": "b.mp4", "b.mp4": "c.mp4", "c.mp4": "d.mp4", "d.mp4": "a.mp4"},  # a ring
    ],
)
def test_whatever_is_made_from_each_other_stays_together(tmp_path, originals):
    names = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")
    make_part(tmp_path, {name: fake_of(originals.get(name)) for name in names})
    assert len(set(people(tmp_path).values())) == 1


def test_a_clip_that_names_itself_and_a_fake_of_nothing_known_are_their_own(tmp_path):
    make_part(tmp_path, {"a.mp4": fake_of("a.mp4"), "b.mp4": {"label": "FAKE"}, "c.mp4": fake_of(None)})
    assert people(tmp_path) == {f"{name}.mp4": (name,) for name in "abc"}
    assert by_key(tmp_path)["b"].source_key is None


def test_what_a_list_names_and_is_not_there_is_missing_and_what_none_names_extra(tmp_path):
    part = tmp_path / "dfdc_train_part_0"
    make_part(part, {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")}, there=["b.mp4", "zz.mp4", "yy.mov"])
    found = dfdc.inventory(tmp_path)
    group, others = found.groups
    assert [video.path for video in found.videos] == ["dfdc_train_part_0/b.mp4"]
    assert (group.there, group.missing_names, group.extra_names) == (1, ("a.mp4",), ("yy.mov", "zz.mp4"))
    assert (others.name, others.expected, others.missing) == ("49 other parts", 119_152, 119_152)
    assert others.missing_names[:2] == ("dfdc_train_part_1", "dfdc_train_part_2")
    assert "not listed: 2 videos that no list names, so without a label" in found.notes
    assert found.unlisted == ()


def test_of_one_part_only_that_part_is_expected(tmp_path):
    part = tmp_path / "dfdc_train_part_0"
    make_part(part, {"a.mp4": REAL_ENTRY, "b.mp4": fake_of("a.mp4")}, there=["b.mp4"])
    assert [(group.name, group.expected) for group in dfdc.inventory(part).groups] == [("dfdc_train_part_0", 2)]


def test_parts_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        make_part(tmp_path / f"dfdc_train_part_{number}", {"a.mp4": REAL_ENTRY})
    names = [group.name for group in dfdc.inventory(tmp_path).groups]
    assert names == ["dfdc_train_part_2", "dfdc_train_part_9", "dfdc_train_part_10", "47 other parts"]


def test_all_fifty_parts_read_as_complete(tmp_path):
    for number in range(50):
        make_part(tmp_path / f"dfdc_train_part_{number}", {"a.mp4": REAL_ENTRY})
    assert all(group.is_complete for group in dfdc.inventory(tmp_path).groups)
    assert len(dfdc.inventory(tmp_path).groups) == 50


def test_a_part_without_its_list_is_told_and_not_listed(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"a.mp4": REAL_ENTRY})
    make_part(tmp_path / "dfdc_train_part_1", None, there=["a.mp4", "b.mp4"])
    found = dfdc.inventory(tmp_path)
    assert [video.path for video in found.videos] == ["dfdc_train_part_0/a.mp4"]
    assert [note for note in found.notes if "not listed: 2 videos without labels in dfdc_train_part_1" in note]
    assert found.groups[-1].missing_names[0] == "dfdc_train_part_1"
    assert found.unlisted == ()


def test_entries_without_a_label_are_told_and_not_listed(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"a.mp4": REAL_ENTRY, "b.mp4": {}, "c.mp4": {"label": "?"}})
    found = dfdc.inventory(tmp_path / "dfdc_train_part_0")
    assert [video.path for video in found.videos] == ["a.mp4"]
    assert [(group.expected, group.there, group.extra) for group in found.groups] == [(1, 1, 0)]
    assert "not listed: 2 entries that say neither FAKE nor REAL: b.mp4, c.mp4" in found.notes


@pytest.mark.parametrize(
    ("entries", "there", "message"),
    [
        (None, ["a.mp4"], "its videos have no labels: there is no metadata.json in dfdc_train_part_0"),
        ({"a.mp4": REAL_ENTRY}, ["b.mp4"], "none of 1 clip that the lists label is here; looked for .*/a.mp4"),
        ({"a.mp4": {}}, ["a.mp4"], "no entry of the lists says FAKE or REAL .1 say neither."),
        ({}, ["a.mp4"], "no entry of the lists says FAKE or REAL .0 say neither."),
    ],
)
def test_where_nothing_can_be_listed_the_reason_is_named(tmp_path, entries, there, message):
    make_part(tmp_path / "dfdc_train_part_0", entries, there=there)
    with pytest.raises(ListingError, match=message):
        dfdc.inventory(tmp_path)


def test_a_list_that_cannot_be_right_is_named_with_its_entry(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"../a.mp4": REAL_ENTRY}, there=["a.mp4"])
    with pytest.raises(
        ListingError, match=r"dfdc_train_part_0/metadata\.json: entry '\.\./a\.mp4': expected"
    ) as caught:
        dfdc.inventory(tmp_path)
    assert "\n" not in str(caught.value)


def test_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    touch(tmp_path, "real/a.mp4", "test_videos/b.mp4")
    with pytest.raises(NoVideos, match="looked for dfdc_train_part_0/metadata.json"):
        dfdc.inventory(tmp_path)


def test_a_long_chain_of_originals_takes_no_longer_than_its_clips(tmp_path):
    names = [f"c{number}.mp4" for number in range(20_000)]
    entries = {name: dfdc_parts.Entry(FAKE, None, original) for name, original in zip(names, names[1:], strict=False)}
    part = dfdc_parts.Part("", ".", dict.fromkeys(entries, 1), entries)
    assert {video.identities for video in dfdc.videos([part])} == {("c19999",)}


def test_the_real_slice_is_one_fake_whose_other_clip_is_missing(shared):
    found = dfdc.inventory(shared / "data/dfdc")
    (video,) = found.videos
    assert (video.key, video.label, video.split) == ("dfdc_train_part_0-brtujopkby", FAKE, "train")
    assert video.identities == (video.source_key,) == ("dfdc_train_part_0-gnmmhlbzge",)
    assert found.groups[0].missing_names == ("awnfpubqmo.mp4",)


def test_the_published_sample_keeps_the_fakes_of_an_original_together(shared, tmp_path):
    text = (shared / "data/meta/dfdc_metadata_train_sample_videos.json").read_text()
    touch(tmp_path / "train_sample_videos", *list(json.loads(text))[:390])
    (tmp_path / "train_sample_videos/metadata.json").write_text(text)
    found = dfdc.inventory(tmp_path)
    assert Counter(video.label for video in found.videos)[FAKE] + 76 == len(found.videos) == 390
    assert (found.groups[0].there, found.groups[0].missing) == (390, 10)
    by_source = {}
    for video in found.videos:
        by_source.setdefault(video.source_key or video.key, set()).add(video.identities)
    assert all(len(identities) == 1 for identities in by_source.values())
    assert len({identities for one in by_source.values() for identities in one}) == len(by_source)
