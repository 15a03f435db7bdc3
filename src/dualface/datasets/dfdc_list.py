"""The list of labels in a part of DFDC: `metadata.json`, an entry per clip.

    {"name.mp4": {"label": "FAKE" | "REAL", "split": "train", "original": "other.mp4" | null}}

Each of the three keys may be missing or null: REAL clips have no original, and lists of clips to be scored no label.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualface.errors import ListingError
from dualface.label import FAKE, REAL
from dualface.manifest import OFFICIAL_SPLITS

NAME = "metadata.json"
LABELS = {"FAKE": FAKE, "REAL": REAL}
# A published name is ten small letters. No hyphen: it joins part and name in a key.
CLIP = re.compile(r"[A-Za-z0-9_]{1,100}\.mp4")
LARGEST = 20 * 1024**2  # bytes; a published list has some 200 kB


@dataclass(frozen=True)
class Entry:
    """What the list says of a clip.

    Attributes:
        label: 1 = FAKE, 0 = REAL; None where the list has neither word.
        split: the official split; None where the list has none.
        original: file name of the clip that it was made from; None where the list has none.
    """

    label: int | None
    split: str | None = None
    original: str | None = None


def read(path: Path) -> dict[str, Entry]:
    """Read a list: entries by file name.

    Raises:
        ListingError: it is too large, no JSON, or an entry can't be right; with the file and the entry.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ListingError(f"{path}: {size:,} bytes is too large for a list of DFDC; copy it again from the data set")
    return parsed(path.read_bytes(), where=str(path))


def parsed(content: bytes, *, where: str) -> dict[str, Entry]:
    """Read the entries out of a list's bytes. Raises ListingError, its message starting with `where`."""
    try:
        # JSON objects come as tuples of pairs, so that a name given twice is seen; its arrays come as lists.
        found = json.loads(content.decode("utf-8-sig"), object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise ListingError(f"{where}: not readable as JSON ({error}); copy it again from the data set") from None
    if not isinstance(found, tuple):
        raise ListingError(f'{where}: expected {{"name.mp4": {{"label": "FAKE", ...}}, ...}}, got {_kind(found)}')
    entries: dict[str, Entry] = {}
    for name, content_of_entry in found:
        if not CLIP.fullmatch(name):
            raise ListingError(f"{where}: entry {name[:80]!r}: expected the name of a file here, like abcdefghij.mp4")
        if name in entries:
            raise ListingError(f"{where}: entry {name!r} appears twice")
        entries[name] = _entry(content_of_entry, where=f"{where}: entry {name!r}")
    return entries


def _entry(content: Any, *, where: str) -> Entry:
    if not isinstance(content, tuple):
        raise ListingError(f'{where}: expected {{"label": "FAKE", ...}}, got {_kind(content)}')
    values = dict(content)
    if len(values) < len(content):
        raise ListingError(f"{where}: a key appears twice in it")
    label, split, original = (values.get(key) for key in ("label", "split", "original"))
    if split is not None and split not in OFFICIAL_SPLITS:
        raise ListingError(f"{where}: split {_shown(split)} is not one of {', '.join(OFFICIAL_SPLITS)}")
    if original is not None and not (isinstance(original, str) and CLIP.fullmatch(original)):
        raise ListingError(f"{where}: original {_shown(original)}: expected a file name like abcdefghij.mp4, or null")
    return Entry(LABELS.get(label) if isinstance(label, str) else None, split, original)


def _kind(value: Any) -> str:
    kinds = {tuple: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, str) else _kind(value)
