"""Read shards: an index of where each sample lies, then any sample at random."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

from dualface.errors import ShardError
from dualface.key import is_valid
from dualface.shards.sample import MEMBERS, FaceTrack, content_hash, decode


@dataclass(frozen=True)
class Place:
    """Where a member lies: its shard, the offset of its content in bytes, its length in bytes."""

    shard: Path
    offset: int
    length: int


class Shards:
    """The samples of a folder of shards, by key.

    Only headers are read when it is made (a sample costs a few hundred bytes of memory); a sample's content is
    read when it is asked for. Instances can be sent to other processes.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.tar"))
        if not paths:
            raise ShardError(f"{folder}: holds no shards; they are written by `dvc repro faces`")
        self._places: dict[str, dict[str, Place]] = {}
        for path in paths:
            self._index(path)

    def _index(self, path: Path) -> None:
        try:
            with tarfile.open(path, mode="r:") as tar:
                for member in tar:
                    key, dot, name = member.name.partition(".")
                    if not member.isfile() or not dot or not is_valid(key) or name not in MEMBERS:
                        raise ShardError(f"{path}: member {member.name!r} does not belong in a shard")
                    place = Place(path, member.offset_data, member.size)
                    if self._places.setdefault(key, {}).setdefault(name, place) is not place:
                        raise ShardError(f"{path}: member {member.name!r} appears twice")
        except (tarfile.TarError, ValueError, OverflowError, MemoryError, EOFError) as error:
            raise ShardError(f"{path}: not a tar file ({error}); run `dvc repro --force faces`") from None

    def __contains__(self, key: str) -> bool:
        """Say whether there is a sample of this key."""
        return key in self._places

    def keys(self) -> list[str]:
        """Return all keys, sorted."""
        return sorted(self._places)

    def read(self, key: str) -> FaceTrack:
        """Read one sample.

        Raises:
            ShardError: there is no such sample, or it is broken.
        """
        return decode(key, self._members(key))

    def _members(self, key: str, *, only: str | None = None) -> dict[str, bytes]:
        if key not in self._places:
            raise ShardError(f"sample {key!r} is not in the shards; run `dvc repro faces subset`")
        members = {}
        for name, place in self._places[key].items():
            if only in (None, name):
                with place.shard.open("rb") as file:
                    file.seek(place.offset)
                    members[name] = file.read(place.length)
        return members

    def fingerprint(self, uses: dict[str, str]) -> str:
        """Return a sha256 over the keys, uses and contents of samples, from the hashes that they carry.

        Args:
            uses: what each sample is used for, in words, by key.
        """
        digest = hashlib.sha256()
        for key, use in sorted(uses.items()):
            digest.update(f"{key} {use} {content_hash(key, self._members(key, only='json'))}\n".encode())
        return digest.hexdigest()
