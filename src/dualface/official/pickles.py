"""Files of torch.save, in today's zip format and in the one before torch 1.6, read as data (`machine`)."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dualface.errors import CheckpointError, shown
from dualface.models.weights import LARGEST_FILE
from dualface.official.machine import Machine
from dualface.official.records import Module, Storage, View

MOST_BYTES = 2**30  # of all tensors of the network
AT_ONCE = 4 * 2**20  # bytes of one text of a pickle, or of a zip's list of entries
LARGEST_PICKLE = 64 * 2**20  # bytes, within a zip
CHUNK = 2**20  # bytes read at once of what is larger
MAGIC = 0x1950A86A20F9469CFC6C  # at the start of the older format
PROTOCOL = 1001
WRAPPERS = ("state_dict", "net", "model_state_dict", "model")  # where a training keeps the network among other things
PARALLEL = "module."  # before each name if the network was trained on several GPUs
MOST_ENTRIES = 100_000  # tensors and modules within modules
LONGEST_NAME = 1000
ZIP = b"PK\x03\x04"

Read = Callable[[Storage], Tensor]


class Bounded(io.BufferedReader):
    """A file that refuses to be read in one large piece, whatever its content claims."""

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes."""
        if size is None or size < 0:
            return super().read(AT_ONCE)
        if size > AT_ONCE:
            raise ValueError(f"it asks for {size:,} bytes at once")
        return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        """Read up to the end of a line."""
        return super().readline(AT_ONCE)


def read(path: Path) -> dict[str, Tensor]:
    """Read a network's tensors from a file of torch.save, without running any of it.

    Args:
        path: of a dict of tensors, as itself or under one of `WRAPPERS`, or of a whole network module.

    Returns:
        The tensors by name, contiguous, on the CPU, without a `module.` that all names have in front.

    Raises:
        CheckpointError: the file is damaged or too large, holds no tensors, or asks for anything but tensors and
            network modules.
    """
    try:
        with Bounded(io.FileIO(path)) as file:
            if path.stat().st_size > LARGEST_FILE:
                raise CheckpointError(f"larger than {LARGEST_FILE:,} bytes: no file of an official network is")
            start = file.read(len(ZIP))
            file.seek(0)
            graph, read_storage = _open_zip(file) if start == ZIP else _open_older(file)
            return _tensors(_views(graph), read_storage)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ValueError, TypeError, IndexError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = shown(error) or type(error).__name__
        raise CheckpointError(f"{path}: damaged, or no file of torch.save ({reason})") from None
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({shown(error)})") from None


def _open_zip(file: Bounded) -> tuple[object, Read]:
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("a zip that torch.save did not write; if it is a folder of weights, unpack it first")
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}byteorder" in archive.namelist() and _entry(archive, f"{prefix}byteorder", size=6) != b"little":
        raise CheckpointError("its numbers are big-endian; save it again on a usual machine")
    size = archive.getinfo(pickles[0]).file_size
    if size > LARGEST_PICKLE:
        raise CheckpointError(f"its pickle has {size:,} bytes, more than any network's")
    machine = Machine()
    graph = machine.run(io.BytesIO(_entry(archive, pickles[0], size=size)))

    def read_storage(storage: Storage) -> Tensor:
        numbers = _entry(archive, f"{prefix}data/{storage.key}", size=storage.count * storage.dtype.itemsize)
        return _numbers(numbers, storage.dtype)

    return graph, read_storage


def _entry(archive: zipfile.ZipFile, name: str, *, size: int) -> bytearray:
    """Read an entry of a size that is known; entries are as long as they say, for torch compresses none."""
    entry = archive.getinfo(name)
    if entry.file_size != size or entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise CheckpointError(f"its entry {shown(name)} is not the {size:,} plain bytes that it should be")
    with archive.open(entry) as source:
        return _exactly(source, size)


def _open_older(file: Bounded) -> tuple[object, Read]:
    machine = Machine()
    if machine.run(file) != MAGIC or machine.run(file) != PROTOCOL:
        raise CheckpointError("a pickle that torch.save did not write")
    system = machine.run(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("its numbers are big-endian; save it again on a usual machine")
    graph, keys = machine.run(file), machine.run(file)
    if (
        not isinstance(keys, list)
        or any(type(key) is not str for key in keys)
        or sorted(keys) != sorted(machine.storages)
    ):
        raise ValueError("its list of storages does not fit")
    places, place = {}, file.tell()
    for key in keys:
        place += 8  # the count, once more
        places[key] = place
        place += machine.storages[key].count * machine.storages[key].dtype.itemsize
    if place > file.seek(0, io.SEEK_END):
        raise CheckpointError(f"truncated: {file.tell():,} of {place:,} bytes are there")

    def read_storage(storage: Storage) -> Tensor:
        file.seek(places[storage.key] - 8)
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise ValueError("a storage is not as long as its pickle says")
        return _numbers(_exactly(file, storage.count * storage.dtype.itemsize), storage.dtype)

    return graph, read_storage


def _exactly(source: Any, size: int) -> bytearray:
    if size > MOST_BYTES:
        raise CheckpointError(f"a part of it has {size:,} bytes; all of a network may have {MOST_BYTES:,}")
    found = bytearray()
    while len(found) < size:
        chunk = source.read(min(CHUNK, size - len(found)))
        if not chunk:
            raise EOFError("it ends too early")
        found += chunk
    return found


def _numbers(found: bytearray, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(found, dtype=dtype) if found else torch.empty(0, dtype=dtype)


def _tensors(views: dict[str, View], read_storage: Read) -> dict[str, Tensor]:
    needed = sum(view.bytes for view in views.values())
    held = {view.storage.key: view.storage.count * view.storage.dtype.itemsize for view in views.values()}
    if max(needed, sum(held.values())) > MOST_BYTES:
        raise CheckpointError(f"its tensors take {needed:,} bytes; those of a network may take {MOST_BYTES:,}")
    storages: dict[str, Tensor] = {}
    tensors = {}
    for name, view in views.items():
        key = view.storage.key
        if key not in storages:
            storages[key] = read_storage(view.storage)
        start = view.storage.start + view.offset
        tensors[name] = (
            storages[key].as_strided(view.size, view.stride, start).clone(memory_format=torch.contiguous_format)
        )
    return tensors


def _views(graph: object) -> dict[str, View]:
    """Find the network's tensors in what a pickle holds."""
    found = graph
    for _ in WRAPPERS:
        if isinstance(found, dict):
            found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), dict | Module)), found)
    if isinstance(found, Module):
        views = _of_module(found)
    elif isinstance(found, dict):
        views = {name: value for name, value in found.items() if isinstance(value, View)}
    else:
        views = {}
    if not views:
        entries = ", ".join(list(found)[:5]) if isinstance(found, dict) else type(found).__name__
        raise CheckpointError(f"it holds no tensors by name; it holds {shown(entries) or 'nothing'}")
    if all(name.startswith(PARALLEL) for name in views):
        views = {name.removeprefix(PARALLEL): view for name, view in views.items()}
    return views


def _of_module(whole: Module) -> dict[str, View]:
    """Name the tensors of a network module as its `state_dict` would."""
    views: dict[str, View] = {}
    waiting, entries = [("", whole)], 0
    while waiting:
        prefix, module = waiting.pop()
        if module.state is None:
            raise CheckpointError(f"a module of its network, {module.name}, has no state")
        tensors = {**module.state["_parameters"], **module.state["_buffers"]}
        inner = module.state["_modules"]
        passing = module.state.get("_non_persistent_buffers_set") or []
        entries += len(tensors) + len(inner) + len(passing)
        longest = len(prefix) + max(map(len, (*tensors, *inner)), default=0)
        if entries > MOST_ENTRIES or longest > LONGEST_NAME:
            raise CheckpointError("its network is nested without end, or has far more layers than an official one")
        left_out = {name for name in passing if isinstance(name, str)}
        found = {name: value for name, value in tensors.items() if isinstance(value, View) and name not in left_out}
        views |= {f"{prefix}{name}": view for name, view in found.items()}
        waiting += [(f"{prefix}{name}.", one) for name, one in inner.items() if isinstance(one, Module)]
    return views
