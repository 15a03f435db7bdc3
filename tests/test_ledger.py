import pytest

from dualface import ledger
from dualface.errors import TableError
from dualface.ledger import Attempt

ATTEMPTS = [
    Attempt("b", "no_face", "no face in 9 frames", 9, 0),
    Attempt("a", "ok", "", 30, 28, box_width=90, seconds=1.2),
]


def test_a_ledger_reads_back_sorted_by_key(tmp_path):
    ledger.write(tmp_path / "ledger.parquet", ATTEMPTS)
    assert ledger.read(tmp_path / "ledger.parquet") == ATTEMPTS[::-1]


def test_every_outcome_is_counted_even_those_that_did_not_happen():
    assert ledger.counts(ATTEMPTS) == {
        "videos": 2,
        "ok": 1,
        "damaged": 0,
        "no_fake_frame": 0,
        "too_few_faces": 0,
        "no_face": 1,
        "unreadable": 0,
        "refused": 0,
        "timeout": 0,
        "crashed": 0,
        "frames": 39,
        "faces": 28,
    }


def test_it_is_told_in_lines_and_ok_ones_on_request():
    told = ledger.told(ATTEMPTS, paths={}, everything=False).splitlines()
    assert told[0] == "2 videos, 39 frames, 28 faces: 1 ok, 1 no_face"
    assert told[2:] == [
        "video  outcome         frames   faces  box px  seconds  reason",
        "b      no_face              9       0       0      0.0  no face in 9 frames",
    ]
    assert len(ledger.told(ATTEMPTS, paths={"b": "real/b.mp4"}, everything=True).splitlines()) == 5
    assert "real/b.mp4  no_face" in ledger.told(ATTEMPTS, paths={"b": "real/b.mp4"}, everything=False)
    assert ledger.told(ATTEMPTS[1:], paths={}, everything=False) == "1 videos, 30 frames, 28 faces: 1 ok\n"


@pytest.mark.parametrize(
    ("attempts", "message"),
    [
        ([Attempt("a", "lost", "?", 0, 0)], "outcome 'lost' is not one of ok, damaged"),
        ([Attempt("a", "ok", "odd", 1, 1)], "has a reason"),
        ([Attempt("a", "no_face", "", 1, 0)], "has a reason"),
        ([ATTEMPTS[1], ATTEMPTS[1]], "'a' appears twice"),
    ],
)
def test_rows_that_break_the_contract_are_refused(tmp_path, attempts, message):
    with pytest.raises(TableError, match=message):
        ledger.write(tmp_path / "ledger.parquet", attempts)
    assert not (tmp_path / "ledger.parquet").exists()


def test_a_missing_ledger_says_what_to_run(tmp_path):
    with pytest.raises(TableError, match="dvc repro faces"):
        ledger.read(tmp_path / "ledger.parquet")
