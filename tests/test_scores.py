from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualface import scores
from dualface.errors import TableError
from dualface.scores import SCHEMA, VideoScores


def video(key, label=1, score=0.75):
    frame, frame_score = np.array([3, 5], np.int32), np.array([0.25, 0.5], np.float32)
    return VideoScores(key, label, score, frame, np.array([0, label], np.uint8), frame_score)


def test_scores_come_back(tmp_path):
    assert scores.write(tmp_path / "scores.parquet", iter([video("b"), video("a", label=0)])) == 2
    first, second = scores.read(tmp_path / "scores.parquet")
    assert (first.key, first.label, first.score) == ("b", 1, 0.75)
    assert (second.key, second.label) == ("a", 0)
    assert first.frame.tolist() == [3, 5]
    assert first.frame_label.tolist() == [0, 1]
    assert first.frame_score.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    "change",
    [
        {"score": 1.5},
        {"frame_score": np.array([0.5, np.nan], np.float32)},
        {"frame": np.array([5, 3], np.int32)},
        {"label": 0},
    ],
)
def test_scores_that_break_the_contract_are_not_written(tmp_path, change):
    with pytest.raises(TableError):
        scores.write(tmp_path / "scores.parquet", [replace(video("a"), **change)])


def test_a_video_level_row_has_no_frame(tmp_path):
    scores.write(tmp_path / "scores.parquet", [video("a")])
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table["frame"].to_pylist() == [None, 3, 5]


def test_nothing_is_left_of_scores_that_break_off(tmp_path):
    def broken():
        yield video("a")
        raise RuntimeError("the plug was pulled")

    with pytest.raises(RuntimeError):
        scores.write(tmp_path / "scores.parquet", broken())
    assert list(tmp_path.iterdir()) == []


def rows(*cells):
    columns = zip(*cells, strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(("a", None, 1, 1.5)), "not probabilities"),
        (rows(("a", None, 1, float("nan"))), "not probabilities"),
        (rows(("a", 3, 1, 0.5)), "without a score of their video"),
        (rows(("a", None, 1, 0.5), ("a", None, 1, 0.5)), "two scores"),
        (rows(("a", None, 1, 0.5), ("b", 3, 1, 0.5)), "not together"),
        (rows(("a", None, 1, 0.5)).drop_columns("label"), "'label' is None"),
    ],
)
def test_scores_that_break_the_contract_are_refused(tmp_path, table, message):
    pq.write_table(table, tmp_path / "scores.parquet")
    with pytest.raises(TableError, match=message):
        scores.read(tmp_path / "scores.parquet")
