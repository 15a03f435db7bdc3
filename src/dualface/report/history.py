"""The training history, as the train stage writes it: a CSV with a row per epoch."""

import csv
import math
from pathlib import Path

import numpy as np

from dualface.errors import TableError


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the history.

    Returns:
        By column name, `(E,)` float64, NaN where a cell is empty or no number; `epoch` is among them.

    Raises:
        TableError: it is missing, or has no column `epoch`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, names = list(reader), list(reader.fieldnames or [])
    except FileNotFoundError:
        raise TableError(f"{path}: not found; it is written by `dvc repro train`") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: not a readable CSV file ({error}); run `dvc repro train`") from None
    if "epoch" not in names:
        raise TableError(f"{path}: has no column 'epoch'; run `dvc repro train`")
    return {name: np.array([_number(row[name]) for row in rows], dtype=np.float64) for name in names}


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan
