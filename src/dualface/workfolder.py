"""Work folders: what a long stage has done so far, kept outside its outputs, which DVC deletes before it runs."""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dualface.errors import DualfaceError


def digest(facts: Any) -> str:
    """Return 16 hex digits that stand for facts of JSON types: a folder's or file's name for what they shape."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path, *, doing: str) -> Iterator[None]:
    """Hold the folder's lock file; a process that dies lets go of it.

    Args:
        folder: an existing folder.
        doing: what the holder does with the folder, for the message to others: `training in`.

    Raises:
        DualfaceError: another process holds it.
    """
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            file.seek(0)
            owner = file.read().strip() or "another"
            raise DualfaceError(
                f"{folder}: process {owner} is {doing} it; wait until it is done, or stop it and run again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
