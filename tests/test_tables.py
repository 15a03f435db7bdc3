import pyarrow as pa
import pytest

from dualface import tables
from dualface.errors import TableError

SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("count", pa.int32())])


def test_the_same_rows_give_the_same_bytes(tmp_path):
    table = tables.table_of([{"key": "a", "count": 1}, {"key": "b", "count": None}], SCHEMA)
    for name in ("one", "two"):
        tables.write(tmp_path / name, table, SCHEMA)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert tables.read(tmp_path / "one", SCHEMA, made_by="stage").equals(table)


def test_an_empty_cell_is_refused_where_one_is_needed(tmp_path):
    table = pa.table({"key": pa.array([None], pa.string()), "count": pa.array([1], pa.int32())}, schema=SCHEMA)
    with pytest.raises(TableError, match="'key' has 1 empty"):
        tables.write(tmp_path / "table", table, SCHEMA)
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize(("content", "message"), [(None, "dvc repro stage"), (b"junk", "not a readable parquet file")])
def test_a_missing_or_broken_file_says_what_to_run(tmp_path, content, message):
    if content:
        (tmp_path / "table").write_bytes(content)
    with pytest.raises(TableError, match=message):
        tables.read(tmp_path / "table", SCHEMA, made_by="stage")


def test_another_type_is_named(tmp_path):
    other = pa.schema([pa.field("key", pa.string()), pa.field("count", pa.float64())])
    tables.write(tmp_path / "table", tables.table_of([{"key": "a", "count": 1.0}], other), other)
    with pytest.raises(TableError, match="'count' is double, expected int32"):
        tables.read(tmp_path / "table", SCHEMA, made_by="stage")


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), tables.replacing(path) as partial:
        partial.write_text("ne")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_in_one_step_and_leftovers_go(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    leftover = tmp_path / "folder.partial"
    leftover.mkdir()
    (leftover / "of a killed run").touch()
    with tables.replacing(folder) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert not leftover.exists()


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    with pytest.raises(IsADirectoryError), tables.replacing(tmp_path / "out") as partial:
        partial.write_text("x")
    assert (tmp_path / "out" / "kept").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
