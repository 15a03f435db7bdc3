"""The tar files of shards: what stands in them, checked, one member at a time."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from dualface.errors import ShardError
from dualface.key import is_valid
from dualface.shards.sample import MAX_FACE_BYTES, MEMBERS

NAMES = sorted(MEMBERS)
MAX_LONG_NAME = 16 * 1024  # bytes of a header that only carries a name; tarfile reads them at once
# What forged headers can raise, besides tarfile's own errors.
BROKEN = (tarfile.TarError, ValueError, OverflowError, MemoryError, EOFError, RecursionError)


class Header(tarfile.TarInfo):
    """A member's header, for `tarfile.open(..., tarinfo=Header)`: a file that is cut short is an error.

    tarfile itself takes the first header that it can't read for the end.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header from its 512 bytes; refuse sizes that tarfile would follow anywhere."""
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.size > MAX_LONG_NAME and not header.isreg()):
            raise tarfile.ReadError(f"member {header.name!r} claims {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next header."""
        at = tarfile_.offset
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the two blocks of zeros that end a tar file
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {at}") from None


@contextmanager
def telling(where: str) -> Iterator[None]:
    """Turn what a broken tar file raises into a ShardError that names it."""
    try:
        yield
    except BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ShardError(f"{where}: not a tar file ({reason}); run `dvc repro --force faces`") from None


def members(tar: tarfile.TarFile, *, where: str) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Go through a shard's members; memory does not grow with their number.

    Args:
        tar: opened with `tarinfo=Header`.
        where: its name, for messages.

    Yields:
        Key, name after the key, and header.

    Raises:
        ShardError: a member does not belong into a shard.
    """
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
        key, dot, name = member.name.partition(".")
        if not member.isfile() or member.issparse() or not dot or not is_valid(key) or name not in MEMBERS:
            raise ShardError(f"{where}: member {member.name!r} does not belong in a shard")
        if not 0 <= member.size <= MAX_FACE_BYTES:
            raise ShardError(
                f"{where}: member {member.name!r} claims {member.size} bytes; run `dvc repro --force faces`"
            )
        yield key, name, member
