"""Crops of faces on their way: in memory while they are few, on disk when they are many."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from dualface.errors import DualfaceError

IN_MEMORY = 32 * 2**20  # bytes; 300 faces of 128 px take 15 MB


class Spill:
    """A growing row of crops of one size, read back by their numbers. Use it in a `with` statement.

    The file has no name, so nothing is left behind when the process is killed.
    """

    def __init__(self, side: int, *, folder: Path | None = None) -> None:
        """Make an empty one.

        Args:
            side: S, of a crop in pixels.
            folder: where the file lies once there is one; None = the system's folder for such files.
        """
        self.side = side
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115  (closed on exit)
        self._count = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Drop all crops."""
        self._file.close()

    def add(self, face: np.ndarray) -> int:
        """Append a crop, `(S, S, 3)` uint8, and return its number, from 0."""
        with writing(self._folder):
            self._file.seek(0, 2)
            self._file.write(face.tobytes())
        self._count += 1
        return self._count - 1

    def read(self, number: int) -> np.ndarray:
        """Return a crop, `(S, S, 3)` uint8, by its number."""
        length = self.side * self.side * 3
        self._file.seek(number * length)
        return np.frombuffer(self._file.read(length), dtype=np.uint8).reshape(self.side, self.side, 3)


@contextmanager
def writing(folder: Path | None) -> Iterator[None]:
    """Tell a failure to write, which is no fault of the video, from one to read.

    Raises:
        DualfaceError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        where = folder or tempfile.gettempdir()
        raise DualfaceError(f"{where}: can't be written to: {error.strerror or error}") from None


class Crops:
    """Some crops of a spill, in an order of their own; a `shards.sample.Faces`."""

    def __init__(self, spill: Spill, numbers: Sequence[int]) -> None:
        self._spill, self._numbers = spill, numbers

    @property
    def shape(self) -> tuple[int, ...]:
        """N, S, S, 3."""
        return len(self._numbers), self._spill.side, self._spill.side, 3

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each crop, `(S, S, 3)` uint8."""
        return (self._spill.read(number) for number in self._numbers)
