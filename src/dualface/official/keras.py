"""Weight files of Keras (.h5), read as plain arrays."""

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from dualface.errors import CheckpointError, shown

MAGIC = b"\x89HDF\r\n\x1a\n"
LARGEST_FILE = 2**30  # bytes; MesoNet's have 0.2 MB
MOST_NUMBERS = 2**28  # of all weights
MOST_ENTRIES = 10_000
DEEPEST = 8  # groups within groups


def read(path: Path) -> dict[str, Tensor]:
    """Read the weights of a network that Keras saved.

    Args:
        path: an HDF5 file with a group for each layer; links to elsewhere are not followed.

    Returns:
        float32 tensors by `layer/weight`, as `conv2d_5/kernel`.

    Raises:
        CheckpointError: the file is damaged or too large, or holds something else than numbers.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise CheckpointError(f"{path}: larger than {LARGEST_FILE:,} bytes: no file of an official network is")
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, h5py.Dataset | None] = {}
            _collect(file, found, depth=0)
            return _tensors({name: entry for name, entry in found.items() if entry is not None})
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # h5py's words for a damaged file
        raise CheckpointError(f"{path}: damaged, or no weight file of Keras ({shown(error)})") from None


def _collect(group: h5py.Group, found: dict[str, h5py.Dataset | None], *, depth: int) -> None:
    """List what a file holds, by path; groups are None, and count too: they may hold each other many times over."""
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise CheckpointError(f"{shown(f'{group.name}/{name}')} is a link; a weight file holds its weights itself")
        if depth > DEEPEST or len(found) > MOST_ENTRIES:
            raise CheckpointError("it holds more groups or entries than any network")
        entry = group[name]
        if isinstance(entry, h5py.Group):
            found[entry.name] = None
            _collect(entry, found, depth=depth + 1)
        else:
            found[entry.name] = entry


def _tensors(found: dict[str, h5py.Dataset]) -> dict[str, Tensor]:
    for name, entry in found.items():
        if not isinstance(entry, h5py.Dataset) or entry.dtype.kind != "f" or entry.is_virtual or entry.external:
            raise CheckpointError(f"its entry {shown(name)} holds no plain numbers")
    if sum(int(entry.size or 0) for entry in found.values()) > MOST_NUMBERS:
        raise CheckpointError(f"it holds more than {MOST_NUMBERS:,} numbers")
    tensors = {}
    for path, entry in found.items():
        # A part that was never written, or is packed, is as large as its file says: a small file could fill memory.
        if entry.dtype != np.dtype("<f4") or entry.shape is None or entry.id.get_storage_size() != entry.nbytes:
            raise CheckpointError(f"its entry {shown(path)} is not the plain float32 numbers that Keras writes")
        # The layer's name stands twice in a path: /conv2d_5/conv2d_5/kernel:0.
        name = "/".join(path.split("/")[-2:]).removesuffix(":0")
        if name in tensors:
            raise CheckpointError(f"it holds {shown(name)} twice; a weight file of Keras 2 is needed")
        tensors[name] = torch.from_numpy(np.asarray(entry[()]))
    return tensors
