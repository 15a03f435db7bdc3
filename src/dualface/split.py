"""The split: which video is used for what. Small and readable, the thing to diff between experiments."""

import csv
from dataclasses import dataclass
from pathlib import Path

from dualface import key as keys
from dualface import label as labels
from dualface import tables
from dualface.errors import DualfaceError, TableError

SPLITS = ("train", "val", "test")
COLUMNS = ("key", "split", "label")


@dataclass(frozen=True)
class Choice:
    """One video's use: `key`, `split` (`train`, `val` or `test`) and `label` (1 = FAKE)."""

    key: str
    split: str
    label: int


def write(path: Path, choices: list[Choice]) -> None:
    """Write the split as CSV, sorted by split (train, val, test), then key."""
    order = sorted(choices, key=lambda choice: (SPLITS.index(choice.split), choice.key))
    with tables.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([choice.key, choice.split, labels.NAMES[choice.label]] for choice in order)


def read(path: Path) -> list[Choice]:
    """Read the split.

    Raises:
        TableError: it is missing or empty, a row is not a key, a split and a label, or rows contradict each other.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or COLUMNS)]:
                raise TableError(f"{path}: column {missing[0]!r} is missing; `dvc repro subset` rewrites it")
            lines = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise TableError(f"{path}: not found; it is written by `dvc repro subset`") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: not a readable CSV file ({error}); `dvc repro subset` rewrites it") from None
    if not lines:
        raise TableError(f"{path}: lists no videos; `dvc repro subset` rewrites it")
    label_of: dict[str, int] = {}
    choices: dict[tuple[str, str], Choice] = {}
    for number, row in lines:
        choice = _parsed(row, where=f"{path}:{number}")
        if (choice.key, choice.split) in choices:
            raise TableError(f"{path}:{number}: {choice.key!r} appears twice in {choice.split}")
        if label_of.setdefault(choice.key, choice.label) != choice.label:
            raise TableError(f"{path}:{number}: {choice.key!r} is real and fake")
        choices[choice.key, choice.split] = choice
    return list(choices.values())


def _parsed(row: dict[str, str], *, where: str) -> Choice:
    if len(row) != len(COLUMNS) or None in row.values():
        raise TableError(f"{where}: has more or fewer cells than the header")
    try:
        choice = Choice(key=row["key"], split=row["split"], label=labels.parse(row["label"]))
    except DualfaceError as error:
        raise TableError(f"{where}: {error}") from None
    if not keys.is_valid(choice.key):
        raise TableError(f"{where}: {keys.RULE}, got {choice.key!r}")
    if choice.split not in SPLITS:
        raise TableError(f"{where}: split {choice.split!r} is not one of {', '.join(SPLITS)}")
    return choice


def of(choices: list[Choice], split: str) -> dict[str, int]:
    """Return the labels of one split by key, in key order."""
    return {choice.key: choice.label for choice in sorted(choices, key=lambda c: c.key) if choice.split == split}
