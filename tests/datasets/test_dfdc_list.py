import json

import pytest

from dualface.datasets import dfdc_list
from dualface.datasets.dfdc_list import Entry
from dualface.errors import ListingError
from dualface.label import FAKE, REAL


def parsed(content):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return dfdc_list.parsed(text.encode() if isinstance(text, str) else text, where="part/metadata.json")


def test_an_entry_tells_label_split_and_original():
    entries = parsed({"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, "b.mp4": {"label": "REAL"}})
    assert entries == {"a.mp4": Entry(FAKE, "train", "b.mp4"), "b.mp4": Entry(REAL)}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"split": None, "original": None},
        {"label": None},
        {"label": "UNKNOWN"},
        {"label": "fake"},
        {"label": 1},
        {"label": []},
    ],
)
def test_what_is_missing_or_null_is_none_and_an_unknown_label_is_no_label(fields):
    assert parsed({"a.mp4": fields}) == {"a.mp4": Entry(None, None, None)}


def test_further_keys_and_a_byte_order_mark_do_no_harm():
    assert parsed(b'\xef\xbb\xbf{"a.mp4": {"label": "REAL", "set": 3}}') == {"a.mp4": Entry(REAL)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not readable as JSON"),
        ("{", "not readable as JSON"),
        (b"\xff\xfe\x00", "not readable as JSON .*decode"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"a.mp4": ' * 100_000, "not readable as JSON"),
        ("9" * 5000, "not readable as JSON"),
        ("[]", "expected .*, got an array"),
        ('"text"', "got a text"),
        ("null", "got null"),
        ("true", "got true or false"),
        ("3", "got a number"),
        ({"a.mp4": "FAKE"}, "entry 'a.mp4': expected .*, got a text"),
        ({"a.mp4": None}, "entry 'a.mp4': expected .*, got null"),
        ({"a.mp4": [{}]}, "entry 'a.mp4': expected .*, got an array"),
        ({"../a.mp4": {}}, r"entry '\.\./a\.mp4': expected the name of a file here"),
        ({"/etc/a.mp4": {}}, "entry '/etc/a.mp4'"),
        ({"b\\a.mp4": {}}, "expected the name of a file here"),
        ({"": {}}, "entry ''"),
        ({"a.avi": {}}, "entry 'a.avi'"),
        ({"a\n.mp4": {}}, "expected the name"),
        ({"\ud800.mp4": {}}, "expected the name"),
        ({"a" * 5000 + ".mp4": {}}, "entry 'a{80}': expected the name"),
        ({"a.mp4": {"original": "../b.mp4"}}, r"entry 'a\.mp4': original '\.\./b\.mp4': expected a file name"),
        ({"a.mp4": {"original": 3}}, "original a number: expected a file name"),
        ({"a.mp4": {"original": ""}}, "original '': expected a file name"),
        ({"a.mp4": {"original": {"x": 1}}}, "original an object: expected a file name"),
        ({"a.mp4": {"split": "dev"}}, "entry 'a.mp4': split 'dev' is not one of train, val, test"),
        ({"a.mp4": {"split": 1}}, "split a number is not one of"),
        ({"a.mp4": {"split": ["train"]}}, "split an array is not one of"),
        ('{"a.mp4": {}, "a.mp4": {"label": "FAKE"}}', "entry 'a.mp4' appears twice"),
        ('{"a.mp4": {"label": "REAL", "label": "FAKE"}}', "entry 'a.mp4': a key appears twice"),
    ],
)
def test_a_hostile_list_is_refused_in_one_line_with_file_and_entry(content, message):
    with pytest.raises(ListingError, match=message) as caught:
        parsed(content)
    assert str(caught.value).startswith("part/metadata.json: ")
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_a_list_of_absurd_size_is_not_even_read(tmp_path):
    path = tmp_path / "metadata.json"
    with path.open("wb") as file:
        file.truncate(dfdc_list.LARGEST + 1)
    with pytest.raises(ListingError, match="20,971,521 bytes is too large"):
        dfdc_list.read(path)


def test_the_published_sample_has_323_fakes_of_209_originals(shared):
    entries = dfdc_list.read(shared / "data/meta/dfdc_metadata_train_sample_videos.json")
    fakes = [entry for entry in entries.values() if entry.label == FAKE]
    reals = [entry for entry in entries.values() if entry.label == REAL]
    assert (len(fakes), len(reals)) == (323, 77)
    assert len({entry.original for entry in fakes}) == 209
    assert {entry.original for entry in reals} == {None}
    assert {entry.split for entry in entries.values()} == {"train"}
