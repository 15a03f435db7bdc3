"""Snapshots: a training as it stood after a step, so that a kill costs a minute and not the whole.

    ROOT/train-HASH/lock                      held while a process trains here
    ROOT/train-HASH/snapshot.safetensors      all tensors; what else there is, as JSON in the file's metadata

The hash is that of all that shapes the training: parameters, data, code, libraries. One file, replaced in one step:
a kill leaves the snapshot before or the new one, never a part. No pickle on the way in or out.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dualface import tables, workfolder
from dualface.errors import CheckpointError, DualfaceError
from dualface.params import LossParams, TrainParams

NETWORKS = (
    *("backbone", "bbn", "capsule", "dsp_fwa", "dual", "frame_level", "logits", "make", "meso", "pieces", "weights"),
    "xception",
)
SECONDS = 60.0  # between snapshots
# All code of this project that shapes what training gives, from a sample's bytes to the epoch that is chosen.
CODE = (
    *(f"train/{name}.py" for name in ("fit", "optimizer", "plan", "state", "step")),
    *(f"models/{name}.py" for name in NETWORKS),
    *(f"metrics/{name}.py" for name in ("ranking", "decision")),
    *(
        "batches.py",
        "methods.py",
        "feeds.py",
        "stream.py",
        "losses.py",
        "predict.py",
        "selfblend.py",
        "processes.py",
        "shards/sample.py",
        "label.py",
        "windows.py",
        "params.py",
    ),
)
LIBRARIES = ("torch", "torchvision", "numpy", "cv2")


class Snapshots:
    """The snapshots of one training, in its work folder."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS) -> None:
        self._path = folder / "snapshot.safetensors"
        self._seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Say whether the last one is old enough for another."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replace the last snapshot.

        Args:
            tensors: by name.
            facts: of JSON types; floats come back as they were.

        Raises:
            CheckpointError: it could not be written.
        """
        partial = self._path.with_suffix(".partial")
        try:
            save_file(
                {name: tensor.contiguous() for name, tensor in tensors.items()},
                partial,
                metadata={"facts": json.dumps(facts, allow_nan=False)},
            )
        except SafetensorError as error:  # its own word for a full disk
            partial.unlink(missing_ok=True)
            raise CheckpointError(f"{self._path}: could not be written ({error}); one from before is kept") from None
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # a power failure must not leave a name without its content
        partial.replace(self._path)
        self._last = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last snapshot's tensors, on the CPU, and its facts; None where there is none.

        Raises:
            CheckpointError: it can't be read.
        """
        if not self._path.is_file():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
                return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118  (no mapping)
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{self._path}: not a snapshot ({' '.join(str(error).split())[:200]}); delete it to start anew"
            ) from None

    def forget(self) -> None:
        """Remove the snapshot: the training is complete, and its outputs are written."""
        self._path.unlink(missing_ok=True)


@contextmanager
def opened(root: Path, *, loss: LossParams, train: TrainParams, data_sha256: str) -> Iterator[Snapshots]:
    """Open the work folder of a training, alone.

    Args:
        root: the folder of all work.
        loss: the section `loss`.
        train: the section `train`.
        data_sha256: fingerprint of the training and validation data.

    Raises:
        DualfaceError: another process works there.
        OSError: the folder can't be written to.
    """
    folder = Path(os.path.realpath(root)) / f"train-{identity(loss, train, data_sha256)}"
    folder.mkdir(parents=True, exist_ok=True)
    with workfolder.locked(folder, doing="training in"):
        (folder / "snapshot.partial").unlink(missing_ok=True)
        snapshots = Snapshots(folder)
        yield snapshots
        tables.remove(folder)


def left_alone(root: Path) -> list[str]:
    """Tell in words of the trainings under `root` that did not end and that nobody works on; empty folders go."""
    told = []
    for folder in sorted(Path(os.path.realpath(root)).glob("train-*")):
        path = folder / "snapshot.safetensors"
        try:
            with workfolder.locked(folder, doing="training in"):
                if path.is_file():
                    megabytes = path.stat().st_size / 1e6
                    told.append(f"{folder} keeps a training with other parameters or data ({megabytes:,.0f} MB)")
                else:
                    tables.remove(folder)
        except DualfaceError:
            continue  # it is at work
    return told


def identity(loss: LossParams, train: TrainParams, data_sha256: str) -> str:
    """Return a hash of all that shapes a training. Devices and processes are not of it: it may go on on others."""
    package = Path(__file__).parents[1]
    facts = {
        "loss": loss.model_dump(),
        "train": train.model_dump(),
        "data": data_sha256,
        "code": [workfolder.file_digest(package / file) for file in CODE],
        "given": [workfolder.file_digest(path) for path in map(Path, (train.weights, train.init)) if path.is_file()],
        "libraries": {name: sys.modules[name].__version__ for name in LIBRARIES},
    }
    return workfolder.digest(facts)
