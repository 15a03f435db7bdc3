from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dualface.datasets import inventory
from dualface.datasets.inventory import Group, Inventory, by_count, by_name

NAMES = st.sets(st.text("abcde", min_size=1, max_size=2))


def lines(*groups):
    return inventory.lines(Inventory(Path("root"), [], title="the set", groups=groups))


@given(NAMES, NAMES)
def test_by_name_every_name_is_there_missing_or_extra(expected, there):
    group = by_name("g", expected=expected, there=there)
    assert (group.expected, group.there + group.extra) == (len(expected), len(there))
    assert group.missing == len(group.missing_names) == len(expected - there)
    assert set(group.extra_names) == there - expected
    assert list(group.missing_names) == sorted(group.missing_names)
    assert group.is_complete == (expected == there)


@given(NAMES, st.integers(0, 8), NAMES)
def test_by_count_never_names_more_than_is_missing_nor_what_is_there(there, expected, known):
    group = by_count("g", expected=expected, there=there, known=known)
    assert group.there <= group.expected == expected
    assert group.there + group.extra == len(there)
    assert group.missing == max(expected - len(there), 0)
    assert not set(group.missing_names) & there
    assert group.missing or not group.missing_names


def test_a_set_without_expectations_has_no_table():
    assert lines() == []


def test_a_partial_set_is_shown_with_the_first_names_that_are_missing():
    text = lines(
        by_name("reals", expected=["d", "c", "b", "a", "x"], there=["x"]),
        by_count("fakes", expected=1200, there=["f"]),
    )
    assert [line.split() for line in text] == [
        ["group", "expected", "there", "missing", "extra", "first", "missing"],
        ["reals", "5", "1", "4", "0", "a,", "b,", "c,", "..."],
        ["fakes", "1,200", "1", "1,199", "0"],
        ["all", "1,205", "2", "1,203", "0"],
        [],
        ["2", "of", "1,205", "videos", "of", "the", "set:", "a", "part", "of", "the", "set,", "which", "is", "fine"],
    ]
    assert len({line.index("extra") + 5 for line in text[:1]} | {line.index("  0") + 3 for line in text[2:4]}) == 1


def test_a_complete_set_reads_as_complete():
    text = lines(by_name("reals", expected="ab", there="ab"))
    assert text[0].split() == ["group", "expected", "there", "missing", "extra"]
    assert len(text) == 4
    assert text[-1] == "all 2 videos of the set: the whole set"


def test_what_is_extra_is_named_and_does_not_count_as_there():
    text = lines(by_name("reals", expected="abc", there="abyz"), by_count("fakes", expected=1, there="pq"))
    assert text[3].split() == ["all", "4", "3", "1", "3"]
    assert "extra in reals: y, z" in text
    assert text[-1] == "3 of 4 videos of the set, and 3 that it does not have: a part of the set, which is fine"


def test_of_many_groups_the_complete_ones_share_a_row():
    complete = [Group(f"g{number}", 10, 10) for number in range(30)]
    text = lines(*complete[:20], Group("short", 10, 9, missing_names=("m",)), *complete[20:])
    assert [line.split()[0] for line in text if line][1:4] == ["short", "30", "all"]
    assert text[2].split() == ["30", "complete", "300", "300", "0", "0"]
    assert len(lines(*complete[:12])) == 12 + 2 + 2
