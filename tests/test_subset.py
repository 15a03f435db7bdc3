import json
from collections import Counter

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dualface import ledger, manifest, params, schema, split, subset
from dualface.errors import SubsetError
from dualface.label import FAKE, REAL
from dualface.ledger import Attempt
from rows import made_ok, make_video, plain_params, run_stage


def asked(**changes):
    """Settings that use the official splits as they are, changed by `section__name=value`."""
    content = plain_params()
    for name, value in changes.items():
        section, _, entry = name.partition("__")
        if entry:
            content["subset"][section][entry] = value
        else:
            content["subset"][section] = value
    return schema.parse(content, params.Params, where="params").subset


def people_of(videos, choices, name):
    chosen = split.of(choices, name)
    return {identity for video in videos if video.key in chosen for identity in video.identities}


def count(choices):
    return Counter((choice.split, choice.label) for choice in choices)


def official(reals=12, fakes=6):
    """Videos of three official splits, each person in two real videos and one fake, with no one shared."""
    return [
        make_video(f"{name}-{word}-{number}", f"{name}{number // each}", fake=word == "fake", split=name)
        for name in split.SPLITS
        for word, total, each in (("real", reals, 2), ("fake", fakes, 1))
        for number in range(total)
    ]


def celebs(people=14, clips=2, others=20, fakes=1):
    """Videos like Celeb-DF's train part: people in several clips, swapped with each other, and people on their own."""
    videos = [make_video(f"y{number}", split="train") for number in range(others)]
    for person in range(people):
        for clip in range(clips):
            videos.append(make_video(f"id{person}_{clip}", f"id{person}", split="train"))
            for swap in range(fakes):
                donor = (person + 1 + 3 * clip + swap) % people
                faces = (f"id{person}", f"id{donor}")
                videos.append(make_video(f"f{person}_{clip}_{swap}", *faces, fake=True, split="train"))
    return videos


def with_test(videos):
    return [*videos, make_video("test-real", split="test"), make_video("test-fake", fake=True, split="test")]


HELD = {"val": {"take_from": "train", "share": 0.25, "real": None, "fake": None}}


def test_without_counts_every_usable_video_is_used():
    videos = official()
    choices, counts = subset.choose(videos, made_ok(videos), settings=asked())
    assert {choice.key: choice.split for choice in choices} == {video.key: video.split for video in videos}
    assert counts["train"] == {
        "real": 12,
        "fake": 6,
        "identities": 6,
        "listed": {"real": 12, "fake": 6},
        "usable": {"real": 12, "fake": 6},
    }
    assert counts["seed"] == counts["overlap_videos"] == counts["overlap_identities"] == 0


@settings(max_examples=40)
@given(real=st.integers(1, 12), fake=st.integers(1, 6), seed=st.integers(0, 2**31 - 1))
def test_counts_are_exact_and_a_smaller_count_is_a_part_of_a_larger_one(real, fake, seed):
    videos = official()
    chosen = {}
    for reals, fakes in ((real, fake), (12, 6), (real, 6)):
        choices, _ = subset.choose(
            videos, made_ok(videos), settings=asked(seed=seed, train__real=reals, train__fake=fakes, test__fake=fakes)
        )
        assert count(choices)["train", REAL] == reals
        assert count(choices)["train", FAKE] == count(choices)["test", FAKE] == fakes
        chosen[reals, fakes] = set(choices)
    assert chosen[real, fake] <= chosen[real, 6] <= chosen[12, 6]


@pytest.mark.parametrize(("ratio", "fakes"), [(30, 23), (20, 35), (10, 71), (712, 1), (0.5, 1424)])
def test_the_ratio_gives_the_counts_of_table_1(ratio, fakes):
    videos = [make_video(f"r{number}", split="train") for number in range(712)]
    videos += [make_video(f"f{number}", fake=True, split="train") for number in range(1424)]
    videos = with_test(videos)
    choices, _ = subset.choose(
        videos, made_ok(videos), settings=asked(ratio=ratio, val__take_from="test", on_overlap="count")
    )
    assert (count(choices)["train", REAL], count(choices)["train", FAKE]) == (712, fakes)


@settings(max_examples=25)
@given(ratio=st.floats(2, 12), seed=st.integers(0, 2**31 - 1))
@example(ratio=2.0000000000000004, seed=0)
def test_the_ratio_moves_no_other_video(ratio, seed):
    videos = official()
    full, _ = subset.choose(videos, made_ok(videos), settings=asked(seed=seed))
    part, _ = subset.choose(videos, made_ok(videos), settings=asked(seed=seed, ratio=ratio))
    assert set(part) <= set(full)
    assert {choice for choice in set(full) - set(part)} <= {c for c in full if c.split == "train" and c.label == FAKE}
    fakes = count(part)["train", FAKE]
    # A ratio such as 1 / 0.7 is not exact: a share that misses a whole number by rounding alone is that number.
    assert fakes * ratio <= 12 + 1e-6
    assert (fakes + 1) * ratio > 12 - 1e-6


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31 - 1),
    share=st.floats(0.05, 0.6),
    shape=st.tuples(st.integers(4, 14), st.integers(1, 4), st.integers(0, 30), st.integers(1, 2)),
)
def test_held_out_people_are_in_no_other_split(seed, share, shape):
    people, clips, others, _ = shape
    videos = with_test(celebs(*shape))
    held = {**HELD["val"], "share": share}
    try:
        choices, counts = subset.choose(videos, made_ok(videos), settings=asked(seed=seed, val=held))
    except SubsetError as error:
        # A share of so few people may leave a split without fakes; an overlap would be another message.
        assume("videos that are not there" not in str(error))
        raise
    assert not people_of(videos, choices, "train") & people_of(videos, choices, "val")
    lost = sum(counts["straddlers"].values())
    assert len(choices) + lost == len(videos)
    assert counts["straddlers"]["real"] == 0
    reals = people * clips + others
    assert counts["val"]["real"] >= share * reals - 1e-6
    # Each kind of people (in fakes, or not) overshoots its share by less than one more person.
    assert counts["val"]["real"] < share * reals + clips + 1


def test_a_share_of_the_demo_set_always_has_fakes_to_validate_on():
    videos = with_test(celebs())
    for seed in range(30):
        choices, _ = subset.choose(videos, made_ok(videos), settings=asked(seed=seed, **HELD))
        assert count(choices)["val", FAKE] >= 2
        assert count(choices)["train", FAKE] >= 10


def test_pairs_that_were_swapped_with_each_other_are_held_out_together():
    videos = with_test(
        [make_video(f"{n}", f"p{n}", split="train") for n in range(40)]
        + [make_video(f"{n}x", f"p{n}", f"p{n ^ 1}", fake=True, split="train") for n in range(40)]
    )
    choices, counts = subset.choose(videos, made_ok(videos), settings=asked(**HELD))
    assert counts["straddlers"] == {"real": 0, "fake": 0}
    assert (count(choices)["val", REAL], count(choices)["val", FAKE]) == (10, 10)


def test_a_set_without_splits_is_divided_in_three():
    videos = [make_video(f"r{n}") for n in range(40)] + [make_video(f"f{n}", fake=True) for n in range(20)]
    share = {"take_from": "train", "share": 0.25, "real": None, "fake": None}
    choices, _ = subset.choose(videos, made_ok(videos), settings=asked(val=share, test=share))
    assert [count(choices)[name, REAL] for name in split.SPLITS] == [20, 10, 10]
    assert [count(choices)[name, FAKE] for name in split.SPLITS] == [10, 5, 5]
    assert len({choice.key for choice in choices}) == 60


def test_as_many_people_as_can_be_are_kept():
    videos = official()
    videos += [make_video(f"more{n}", "train0", split="train") for n in range(50)]
    choices, counts = subset.choose(videos, made_ok(videos), settings=asked(train__real=6, train__fake=3))
    assert counts["train"]["identities"] == 6
    assert len(people_of(videos, [choice for choice in choices if choice.label == REAL], "train")) == 6


def test_the_order_of_the_rows_does_not_matter():
    videos = with_test(celebs())
    settings_ = asked(seed=3, ratio=9, **HELD)
    forward = subset.choose(videos, made_ok(videos), settings=settings_)
    assert subset.choose(videos[::-1], made_ok(videos), settings=settings_) == forward


def test_another_seed_gives_another_choice():
    videos = official()
    one, two = (
        subset.choose(videos, made_ok(videos), settings=asked(seed=seed, train__real=6, train__fake=3))[0]
        for seed in (0, 1)
    )
    assert set(one) != set(two)


def lose(videos, outcomes):
    return [
        Attempt(attempt.key, outcomes[attempt.key], "why", 5, 2) if attempt.key in outcomes else attempt
        for attempt in made_ok(videos)
    ]


def test_a_lost_video_is_counted_and_moves_no_other():
    videos = with_test(celebs())
    before, _ = subset.choose(videos, made_ok(videos), settings=asked(**HELD))
    lost = next(choice for choice in before if choice.split == "train" and choice.label == REAL)
    after, counts = subset.choose(videos, lose(videos, {lost.key: "no_face"}), settings=asked(**HELD))
    assert set(after) == set(before) - {lost}
    assert counts["train"]["listed"]["real"] - counts["train"]["usable"]["real"] == 1


def test_damaged_videos_are_used_only_when_asked_for():
    videos = official()
    attempts = lose(videos, {"train-real-0": "damaged", "train-real-1": "too_few_faces", "train-real-2": "unreadable"})
    for damaged, reals in ((False, 9), (True, 10)):
        choices, _ = subset.choose(videos, attempts, settings=asked(damaged=damaged))
        assert count(choices)["train", REAL] == reals


def test_too_few_videos_are_told_with_all_numbers():
    videos = official()
    attempts = lose(videos, {"train-real-0": "no_face"})
    message = "train needs 12 real and has 11 usable of 12 listed; test needs 7 fake and has 6 usable of 6 listed"
    with pytest.raises(SubsetError, match=message):
        subset.choose(videos, attempts, settings=asked(train__real=12, test__fake=7))


@pytest.mark.parametrize("name", split.SPLITS)
@pytest.mark.parametrize("label", [REAL, FAKE])
def test_a_class_missing_in_a_split_stops(name, label):
    videos = [video for video in official() if video.split != name or video.label != label]
    with pytest.raises(SubsetError, match=f"{name} would have no {'fake' if label else 'real'} .0 usable of 0 listed"):
        subset.choose(videos, made_ok(videos), settings=asked())


def test_a_ratio_too_high_for_one_fake_stops():
    videos = official()
    with pytest.raises(SubsetError, match="train would have no fake"):
        subset.choose(videos, made_ok(videos), settings=asked(ratio=13))


def test_a_split_that_the_set_lacks_says_how_to_hold_one_out():
    videos = [video for video in official() if video.split != "test"]
    with pytest.raises(SubsetError, match="test takes from a split of which no video is listed; hold some out"):
        subset.choose(videos, made_ok(videos), settings=asked())


def test_a_person_in_two_splits_stops_unless_it_is_to_be_counted():
    videos = [*official(), make_video("again", "test0", split="train"), make_video("more", "val1", split="train")]
    with pytest.raises(SubsetError, match=r"1 in train and val .val1.*1 in train and test .test0.*on_overlap: count"):
        subset.choose(videos, made_ok(videos), settings=asked())
    _, counts = subset.choose(videos, made_ok(videos), settings=asked(on_overlap="count"))
    assert counts["overlap_identities"] == 2
    assert counts["overlap_videos"] == 0


def test_validation_may_serve_as_test_only_if_asked_and_that_is_counted():
    videos = official()
    same = {"test__take_from": "val", "test__fake": 2, "val__fake": 4}
    with pytest.raises(SubsetError, match=r"in val and test .*on_overlap: count"):
        subset.choose(videos, made_ok(videos), settings=asked(**same))
    choices, counts = subset.choose(videos, made_ok(videos), settings=asked(**same, on_overlap="count"))
    test, val = split.of(choices, "test"), split.of(choices, "val")
    assert test.keys() < val.keys()
    assert counts["overlap_videos"] == 14
    assert counts["overlap_identities"] > 0
    assert counts["unused"] == {"real": 12, "fake": 6}


def test_a_share_may_be_held_out_of_test():
    videos = official()
    choices, _ = subset.choose(videos, made_ok(videos), settings=asked(val__take_from="test", val__share=0.5))
    assert (count(choices)["val", REAL], count(choices)["test", REAL]) == (6, 6)
    assert not people_of(videos, choices, "val") & people_of(videos, choices, "test")


@pytest.mark.parametrize("drop", [0, 1])
def test_manifest_and_ledger_of_different_runs_are_refused(drop):
    videos = official()
    attempts = made_ok(videos)[drop:] + ([] if drop else [Attempt("stranger", "ok", "", 1, 1)])
    with pytest.raises(SubsetError, match="different runs"):
        subset.choose(videos, attempts, settings=asked())


def test_the_stage_writes_the_same_bytes_twice(tmp_path):
    videos = with_test(celebs())
    manifest.write(tmp_path / "m.parquet", videos)
    ledger.write(tmp_path / "l.parquet", made_ok(videos))
    content = plain_params()
    content["subset"] |= {**HELD, "ratio": 5}
    inputs = ("--manifest", "m.parquet", "--ledger", "l.parquet")
    for name in ("one", "two"):
        outputs = ("--split", f"{name}/s.csv", "--counts", f"{name}/c.json")
        assert run_stage("subset", *inputs, *outputs, cwd=tmp_path, params=content) == (0, "")
    for file in ("s.csv", "c.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    counts = json.loads((tmp_path / "one/c.json").read_text())
    train = split.of(split.read(tmp_path / "one/s.csv"), "train")
    assert len(train) == counts["train"]["real"] + counts["train"]["fake"]
