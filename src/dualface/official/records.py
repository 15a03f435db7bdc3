"""What is left of a pickle when it is read as data."""

import math
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch

from dualface.errors import CheckpointError, shown

MOST_AXES = 8
MOST_NUMBERS = 2**48


@dataclass(frozen=True, slots=True)
class Name:
    """A global that a pickle names; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return it as in Python, fit for a message."""
        return shown(f"{self.module}.{self.name}")


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Numbers in the file: `count` of `dtype` under `key`. Of these, `length` from `start` on are meant."""

    key: str
    dtype: torch.dtype
    count: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A tensor that is still in the file; it lies within its storage and has no more numbers than that."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return math.prod(self.size) * self.storage.dtype.itemsize


@dataclass(slots=True, eq=False)
class Module:
    """A network module: the name of its class, and its state."""

    name: Name
    state: dict[str, Any] | None = None


STORAGES = {
    Name("torch", "DoubleStorage"): torch.float64,
    Name("torch", "FloatStorage"): torch.float32,
    Name("torch", "HalfStorage"): torch.float16,
    Name("torch", "BFloat16Storage"): torch.bfloat16,
    Name("torch", "LongStorage"): torch.int64,
    Name("torch", "IntStorage"): torch.int32,
    Name("torch", "ShortStorage"): torch.int16,
    Name("torch", "CharStorage"): torch.int8,
    Name("torch", "ByteStorage"): torch.uint8,
}


def storage_of(kind: Any, key: Any, count: Any, view: Any) -> Storage:
    """Check what a file says of a storage.

    Args:
        kind: the name of the storage's class.
        key: what the file calls it.
        count: of numbers.
        view: None, or (a key, first number, how many), where files before 2018 mean a part of it.

    Raises:
        CheckpointError: the kind is unknown, or the numbers make no sense.
    """
    if type(kind) is not Name or type(key) is not str or not _is_count(count):
        raise CheckpointError("a storage in it has no name or no size")
    if kind not in STORAGES:
        raise CheckpointError(f"its numbers are of the kind {kind}; known: {', '.join(one.name for one in STORAGES)}")
    start, length = (0, count) if view is None else _part(view)
    if start + length > count:
        raise CheckpointError("a storage in it is a part that reaches beyond the whole")
    return Storage(key, STORAGES[kind], count, start, length)


def view_of(storage: Any, offset: Any, size: Any, stride: Any) -> View:
    """Check what a file says of a tensor.

    Raises:
        CheckpointError: it reaches beyond its storage, repeats numbers to become larger than it, or has no shape.
    """
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise CheckpointError("a tensor in it has no storage or no shape")
    proper = all(map(_is_count, (*size, *stride)))
    if len(size) != len(stride) or len(size) > MOST_AXES or not proper or not _is_count(offset):
        raise CheckpointError("a tensor in it has a negative or no proper shape")
    last = offset + sum((many - 1) * step for many, step in zip(size, stride, strict=True))
    numbers = math.prod(size)
    if math.prod(max(1, many) for many in size) >= MOST_NUMBERS:  # also of an empty one: its strides are computed
        raise CheckpointError("a tensor in it has a shape without bounds")
    if numbers and (last >= storage.length or numbers > storage.length):
        raise CheckpointError(f"a tensor in it is larger than the {storage.length:,} numbers that it is made of")
    return View(storage, offset, size, stride)


def _is_count(number: object) -> TypeGuard[int]:
    return type(number) is int and 0 <= number < MOST_NUMBERS


def _part(view: Any) -> tuple[int, int]:
    if type(view) is not tuple or len(view) != 3 or not all(map(_is_count, view[1:])):
        raise CheckpointError("a storage in it is a part without a size")
    return view[1], view[2]
