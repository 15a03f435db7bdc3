"""Tables between stages: checked on write and on read, and never half-written.

The same rows give the same bytes: rows come sorted by their owner, and no file holds a time or a host.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dualface.errors import TableError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it becomes `path`, file or folder.

    An exception or a full disk leaves what was at `path` as it was, and at no moment is a half-written output
    there: a kill leaves the old one, the new one or, between the two renames that a folder takes, none. Leftovers
    of a killed run are removed first.

    Raises:
        OSError: a file is to take the place of a folder; whoever named it meant something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = path.with_name(path.name + ".partial"), path.with_name(path.name + ".old.partial")
    remove(partial)
    remove(old)
    try:
        yield partial
        if path.is_dir():
            if not partial.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            path.replace(old)
        partial.replace(path)
    finally:
        remove(partial)
        remove(old)


def remove(path: Path) -> None:
    """Remove a file or a folder with what it holds; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def table_of(records: list[Any], schema: pa.Schema) -> pa.Table:
    """Make a table from dataclass instances or dicts whose fields are the schema's columns."""
    rows = [asdict(record) if is_dataclass(record) else record for record in records]  # type: ignore[arg-type]
    return pa.Table.from_pylist(rows, schema=schema)


def write(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    """Write `table` as parquet, after checking it against `schema`.

    Raises:
        TableError: the columns, their types or a null are not what the schema allows.
    """
    check(table, schema, where=str(path))
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read(path: Path, schema: pa.Schema, *, made_by: str) -> pa.Table:
    """Read a parquet table and check it against `schema`.

    Args:
        path: the file.
        schema: the contract.
        made_by: the stage that writes this file, for the error message.

    Raises:
        TableError: the file is missing, is no parquet file, or breaks the contract.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise TableError(f"{path}: not found; it is written by `dvc repro {made_by}`") from None
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{path}: not a readable parquet file ({reason}); run `dvc repro {made_by}`") from None
    check(table, schema, where=str(path))
    return table


def check(table: pa.Table, schema: pa.Schema, *, where: str) -> None:
    """Raise TableError unless `table` has exactly the schema's columns, types and non-null cells."""
    if not table.schema.equals(schema, check_metadata=False):
        have = {field.name: str(field.type) for field in table.schema}
        want = {field.name: str(field.type) for field in schema}
        wrong = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
        if wrong:
            name = wrong[0]
            raise TableError(f"{where}: column {name!r} is {have.get(name)}, expected {want.get(name)}")
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise TableError(f"{where}: column {field.name!r} has {table[field.name].null_count} empty cells")
