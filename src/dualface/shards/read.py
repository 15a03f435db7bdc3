"""Read shards: an index of where each sample lies, then any sample at random."""

import hashlib
import tarfile
from array import array
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dualface.errors import ShardError
from dualface.shards import tar as tars
from dualface.shards.sample import FaceTrack, content_hash, decode

SLACK = 16 * 1024  # bytes that headers and padding may take between the members of one sample
ABSENT = -1


class Shards:
    """The samples of a folder of shards, by key.

    Only headers are read when it is made: a sample costs some 84 bytes of memory and the length of the longest key.
    A sample's content is read when it is asked for. Instances can be sent to other processes.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.tar"))
        if not self._paths:
            raise ShardError(f"{folder}: holds no shards; they are written by `dvc repro faces`")
        rows: dict[str, int] = {}
        shard, places = array("q"), array("q")  # a row per sample: its shard; offset and length of each member
        for number, path in enumerate(self._paths):
            _index(path, number, rows=rows, shard=shard, places=places)
        order = sorted(rows)
        by_key = np.array([rows[key] for key in order], dtype=np.intp)
        self._keys = np.array(order, dtype=np.bytes_)  # (V,), sorted; keys are ASCII
        self._shard = np.array(shard, dtype=np.int32)[by_key]  # (V,)
        self._places = np.array(places, dtype=np.int64).reshape(len(rows), len(tars.NAMES), 2)[by_key]

    def __contains__(self, key: str) -> bool:
        """Say whether there is a sample of this key."""
        return self._row(key) is not None

    def keys(self) -> list[str]:
        """Return all keys, sorted."""
        return [key.decode() for key in self._keys.tolist()]

    def read(self, key: str) -> FaceTrack:
        """Read one sample.

        Raises:
            ShardError: there is no such sample, or it is broken.
        """
        return decode(key, self._members(key, tars.NAMES))

    def fingerprint(self, uses: dict[str, str]) -> str:
        """Return a sha256 over the keys, uses and contents of samples, from the hashes that they carry.

        Args:
            uses: what each sample is used for, in words, by key.
        """
        return fingerprint(uses, {key: content_hash(key, self._members(key, ["json"])) for key in uses})

    def _row(self, key: str) -> int | None:
        name = key.encode()
        if len(name) > self._keys.itemsize:  # numpy would widen all keys to compare
            return None
        row = int(np.searchsorted(self._keys, np.bytes_(name)))
        return row if row < len(self._keys) and self._keys[row] == name else None

    def _members(self, key: str, names: list[str]) -> dict[str, bytes]:
        """Read some members; with one read, where they lie together."""
        row = self._row(key)
        if row is None:
            raise ShardError(f"sample {key!r} is not in the shards; run `dvc repro faces subset`")
        places = dict(zip(tars.NAMES, self._places[row].tolist(), strict=True))
        places = {name: places[name] for name in names if places[name][0] != ABSENT}
        if not places:
            return {}
        start, end = min(at for at, _ in places.values()), max(at + length for at, length in places.values())
        with self._paths[self._shard[row]].open("rb") as file:
            if end - start > sum(length for _, length in places.values()) + SLACK:
                return {name: _bytes(file, at, length) for name, (at, length) in places.items()}
            content = _bytes(file, start, end - start)
        return {name: content[at - start : at - start + length] for name, (at, length) in places.items()}


def _bytes(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def fingerprint(uses: dict[str, str], hashes: dict[str, str]) -> str:
    """Return a sha256 over the keys, uses and hashes of samples; the order of the dicts does not matter."""
    digest = hashlib.sha256()
    for key, use in sorted(uses.items()):
        digest.update(f"{key} {use} {hashes[key]}\n".encode())
    return digest.hexdigest()


def _index(path: Path, number: int, *, rows: dict[str, int], shard: "array[int]", places: "array[int]") -> None:
    """Add a shard's samples: the row of each key, and by row the shard's number and the members' places."""
    end = path.stat().st_size
    with tars.telling(str(path)), tarfile.open(path, mode="r:", tarinfo=tars.Header) as tar:
        for key, name, member in tars.members(tar, where=str(path)):
            row = rows.setdefault(key, len(rows))
            if row == len(shard):
                shard.append(number)
                places.extend([ABSENT, 0] * len(tars.NAMES))
            at = 2 * (row * len(tars.NAMES) + tars.NAMES.index(name))
            if shard[row] != number or places[at] != ABSENT:
                raise ShardError(f"{path}: member {member.name!r} appears twice, in this shard or over several")
            if member.offset_data + member.size > end:
                raise ShardError(f"{path}: ends within member {member.name!r}; run `dvc repro --force faces`")
            places[at], places[at + 1] = member.offset_data, member.size
