import pytest

from dualface import history
from dualface.errors import TableError


def test_a_history_comes_back(tmp_path):
    history.write(tmp_path / "history.csv", [{"epoch": 1, "loss": 0.123456789}, {"epoch": 2, "loss": 1e-7}])
    read = history.read(tmp_path / "history.csv")
    assert read["epoch"].tolist() == [1, 2]
    assert read["loss"].tolist() == [0.123457, 1e-7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "dvc repro train"),
        ("", "no column 'epoch'"),
        ("loss\n1\n", "no column 'epoch'"),
        ("epoch,loss\n1,high\n", "not a table of numbers"),
        ("epoch,loss\n1\n", "not a table of numbers"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "history.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        history.read(tmp_path / "history.csv")
