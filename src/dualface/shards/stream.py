"""Shards read in order, from a folder or an object store: nothing but the samples at hand is in memory."""

import tarfile
from collections.abc import Container, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, takewhile
from typing import IO, Any, Literal

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from dualface.errors import ShardError
from dualface.shards import tar as tars
from dualface.shards.read import fingerprint
from dualface.shards.sample import MEMBERS, content_hash

CHUNK = 2**20  # bytes asked for at a time


@dataclass(frozen=True)
class Store:
    """A folder of shards, or the part of an object store below a URL.

    Attributes:
        url: a path, or a URL that fsspec knows: `https://host/faces`, `s3://bucket/faces`, `memory://faces`.
    """

    url: str

    def shards(self) -> list[str]:
        """Return the names of the shards, sorted.

        Web servers need not list their files: there, shards are 00000.tar, 00001.tar, ... up to the first that is
        missing, as `dualface.shards.write` names them.

        Raises:
            ShardError: there are none, or the store can't be reached.
        """
        with _reached(self.url):
            system, root = fsspec.core.url_to_fs(self.url)
            base = root.rstrip("/")
            if "http" in system.protocol:
                names = list(takewhile(lambda name: system.exists(f"{base}/{name}"), map("{:05d}.tar".format, count())))
            else:
                names = sorted(path.rsplit("/", 1)[-1] for path in system.glob(f"{base}/*.tar"))
        if not names:
            raise ShardError(f"{self.url}: holds no shards; they are written by `dvc repro faces`")
        return names

    def samples(
        self, shard: str, wanted: Container[str], *, names: Container[str] = MEMBERS
    ) -> Generator[tuple[str, dict[str, bytes]]]:
        """Read a shard from its start to its end; yield key and members of the wanted samples.

        What is not wanted is skipped on a disk; from other stores a shard is read all through.

        Args:
            shard: its name.
            wanted: the keys of the samples.
            names: which of their members.

        Raises:
            ShardError: the shard can't be read, or is broken.
        """
        where = f"{self.url.rstrip('/')}/{shard}"
        before, held = "", dict[str, bytes]()
        with _opened(where) as (file, mode), tars.telling(where):
            with tarfile.open(fileobj=file, mode=mode, bufsize=CHUNK, tarinfo=tars.Header) as tar:
                for key, name, member in tars.members(tar, where=where):
                    if held and key != before:
                        yield before, held
                        held = {}
                    if name in held:
                        raise ShardError(f"{where}: member {member.name!r} appears twice")
                    before = key
                    if key in wanted and name in names:
                        held[name] = _content(tar, member)
            if held:
                yield before, held


@dataclass(frozen=True)
class Survey:
    """Where samples lie in a store, and what they hold. It can be sent to other processes.

    Attributes:
        store: the store.
        shard_of: the shard of each sample by key, in the order in which the samples lie.
        hash_of: the sha256 of each sample's content, as it tells it.
    """

    store: Store
    shard_of: dict[str, str]
    hash_of: dict[str, str]

    def fingerprint(self, uses: dict[str, str]) -> str:
        """Return the value of `dualface.shards.read.Shards.fingerprint`."""
        return fingerprint(uses, self.hash_of)

    def samples(self, shard: str, keys: set[str]) -> Generator[tuple[str, dict[str, bytes]]]:
        """Read samples of a shard, in the order in which they lie there.

        Raises:
            ShardError: the shard can't be read, or a sample is not the one that was surveyed.
        """
        missing = set(keys)
        for key, members in self.store.samples(shard, keys):
            if content_hash(key, members) == self.hash_of[key]:
                missing.discard(key)
                yield key, members
        if missing:
            raise ShardError(f"{self.store.url}: {shard}: sample {min(missing)!r} has changed; start training again")


def survey(store: Store, keys: Iterable[str], *, threads: int) -> Survey:
    """Find samples in a store; each of its shards is read once.

    Args:
        store: where to look.
        keys: the samples.
        threads: shards that are read at a time.

    Raises:
        ShardError: a sample is missing or appears twice, or a shard can't be read.
    """
    needed = set(keys)
    shard_of: dict[str, str] = {}
    hash_of: dict[str, str] = {}
    names = store.shards()
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(partial(_hashes, store, wanted=needed), names)
        for shard, hashes in zip(names, found, strict=True):
            if twice := shard_of.keys() & hashes.keys():
                raise ShardError(f"{store.url}: sample {min(twice)!r} appears twice, in {shard} and in one before")
            shard_of |= dict.fromkeys(hashes, shard)
            hash_of |= hashes
    if missing := needed - shard_of.keys():
        raise ShardError(
            f"{store.url}: holds no sample {min(missing)!r}, nor {len(missing) - 1} others; "
            "run `dvc repro faces subset`, and copy all shards there"
        )
    return Survey(store, shard_of, hash_of)


def _hashes(store: Store, shard: str, *, wanted: Container[str]) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for key, members in store.samples(shard, wanted, names=("json",)):
        if key in hashes:
            raise ShardError(f"{store.url}: sample {key!r} appears twice in {shard}")
        hashes[key] = content_hash(key, members)
    return hashes


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


@dataclass(frozen=True)
class _File:
    """A file whose failures are ShardErrors."""

    file: IO[bytes]
    where: str

    def read(self, size: int = -1) -> bytes:
        with _reached(self.where):
            return self.file.read(size)

    def seek(self, to: int) -> int:
        with _reached(self.where):
            return self.file.seek(to)

    def tell(self) -> int:
        return self.file.tell()


@contextmanager
def _opened(where: str) -> Iterator[tuple[Any, Literal["r:", "r|"]]]:
    """Open a shard, and say how tarfile may read it: with jumps on a disk, straight on elsewhere."""
    with _reached(where):
        system, path = fsspec.core.url_to_fs(where)
        file = system.open(path, "rb")
    with file:
        yield _File(file, where), "r:" if isinstance(system, LocalFileSystem) else "r|"


@contextmanager
def _reached(where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each store has exceptions of its own, without a common base
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ShardError(f"{where}: can't be read ({reason}); look at the address and the connection") from error
