import pytest

from dualface import split
from dualface.errors import TableError
from dualface.split import Choice

CHOICES = [Choice("b", "train", 1), Choice("a", "test", 0), Choice("a", "val", 0), Choice("c", "train", 0)]


def test_a_split_reads_back_sorted_by_split_and_key(tmp_path):
    split.write(tmp_path / "split.csv", CHOICES)
    assert split.read(tmp_path / "split.csv") == [CHOICES[0], CHOICES[3], CHOICES[2], CHOICES[1]]
    assert (tmp_path / "split.csv").read_text().splitlines()[:2] == ["key,split,label", "b,train,fake"]


def test_order_does_not_change_the_bytes(tmp_path):
    split.write(tmp_path / "one", CHOICES)
    split.write(tmp_path / "two", CHOICES[::-1])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_labels_of_one_split_come_by_key():
    assert list(split.of(CHOICES, "train").items()) == [("b", 1), ("c", 0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "dvc repro subset"),
        (b"", "lists no videos"),
        (b"key,split,label\n", "lists no videos"),
        (b"key,split\na,train\n", "column 'label' is missing"),
        (b"key,split,label\na,train\n", ":2: "),
        (b"key,split,label\na,train,real,7\n", ":2: "),
        (b"key,split,label\na,train,maybe\n", ":2: label 'maybe'"),
        (b"key,split,label\na,dev,real\n", ":2: split 'dev'"),
        (b"key,split,label\na,train,real\na,train,real\n", ":3: 'a' appears twice in train"),
        (b"key,split,label\na,train,real\na,val,fake\n", ":3: 'a' is real and fake"),
        (b"key,split,label\n../a,train,real\n", ":2: a key has"),
        (b"\xff\xfe\x00binary", "not a readable CSV"),
    ],
)
def test_a_broken_split_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=message) as caught:
        split.read(path)
    assert "\n" not in str(caught.value)
