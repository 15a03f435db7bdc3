"""The history of a training: a row per epoch, a CSV that git keeps and DVC plots."""

import csv
from pathlib import Path

import numpy as np

from dualface import tables
from dualface.errors import TableError


def write(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the history, six significant digits; all rows have the same columns, `epoch` first."""
    with tables.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the history.

    Returns:
        By column name, `(E,)` float64; `epoch` is among them.

    Raises:
        TableError: it is missing, has no column `epoch`, or a cell is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows, names = list(reader), list(reader.fieldnames or [])
        columns = {name: np.array([float(row[name]) for row in rows], dtype=np.float64) for name in names}
    except FileNotFoundError:
        raise TableError(f"{path}: not found; it is written by `dvc repro train`") from None
    except (ValueError, TypeError, csv.Error) as error:
        raise TableError(f"{path}: not a table of numbers ({error}); run `dvc repro train`") from None
    if "epoch" not in columns:
        raise TableError(f"{path}: has no column 'epoch'; run `dvc repro train`")
    return columns
