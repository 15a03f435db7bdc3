"""Weights from .safetensors files, checked against the network that is to take them."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dualface.errors import CheckpointError, shown
from dualface.methods import FAMILY, Spec

LARGEST_FILE = 2 * 2**30  # bytes; the largest official one has about a quarter of that
# What a file of a method may lack: layers that are another task's, or that others trained.
FREE = {
    "dual": ("rnn.", "frame_head.", "video_head."),
    "cnn_gru": ("rnn.", "video_head."),
    "cnn_lstm": ("rnn.", "video_head."),
    "meso4": (),
    "mesoinception4": (),
    "xception": ("network.xception.fc.",),
    "capsule": ("network.trunk.",),
    "dsp_fwa": ("network.classifier.",),
    "bbn": ("network.classifier.",),
}


MESO_PX = {16 * count * count: 32 * count for count in range(1, 33)}  # inputs of the dense layer, by the side


def check_file(path: Path, *, setting: str) -> None:
    """Raise CheckpointError, naming the parameter `setting`, unless weights may be in `path`."""
    if path.is_dir():
        raise CheckpointError(f"{setting}: {path}: a folder; give the file of weights in it")
    if not path.is_file():
        raise CheckpointError(f"{setting}: {path}: no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise CheckpointError(f"{setting}: {path}: larger than {LARGEST_FILE:,} bytes: no network here is")


def read(path: Path, *, setting: str) -> tuple[dict[str, Tensor], str | None]:
    """Read a file of tensors.

    Args:
        path: a .safetensors file.
        setting: the parameter that names it, for messages.

    Returns:
        The tensors by name, on the CPU, and the method that they are of, where the file says so.

    Raises:
        CheckpointError: there is none, or it is something else.
    """
    check_file(path, setting=setting)
    try:
        with safe_open(path, framework="pt") as file:
            method = (file.metadata() or {}).get("method")
            return {name: file.get_tensor(name) for name in file.keys()}, method  # noqa: SIM118  (no mapping)
    except SafetensorError as error:
        reason = shown(error, length=200)
        raise CheckpointError(
            f"{setting}: {path}: not a safetensors file ({reason}); `dualface import-weights` makes one of others"
        ) from None


def load(detector: nn.Module, path: Path, *, spec: Spec) -> set[str]:
    """Give a detector all weights that a file holds; the layers that may be missing stay as they are.

    Args:
        detector: the network, as `dualface.models.make.make` makes it.
        path: from `dualface import-weights`, or a training's `model.safetensors`.
        spec: what determines the network.

    Returns:
        The names of the tensors that it held.

    Raises:
        CheckpointError: the file can't be read, is of another method, or does not fit.
    """
    state, method = read(path, setting="train.init")
    if method is not None and method != spec.method and not {method, spec.method} <= set(FAMILY):
        raise CheckpointError(f"train.init: {path}: weights of {shown(method)}, and train.method is {spec.method}")
    if problem := misfit(detector, state, spec=spec):
        side = meso_side(state) if spec.method in ("meso4", "mesoinception4") else None
        hint = f"; it is for faces.input_size: {side}" if side and side != spec.input_size else ""
        raise CheckpointError(f"train.init: {path}: does not fit {spec.method}: {problem}{hint}")
    with torch.no_grad():
        detector.load_state_dict(state, strict=False)
    return set(state)


def meso_side(state: dict[str, Tensor]) -> int | None:
    """Tell from MesoNet's weights the side of the faces that they are for, px; None where they do not say."""
    dense = state.get("network.dense.0.weight")
    return MESO_PX.get(dense.shape[1]) if dense is not None and dense.ndim == 2 else None


def misfit(detector: nn.Module, state: dict[str, Tensor], *, spec: Spec) -> str | None:
    """Say in one line why tensors do not fit a network; None where they do."""
    return differences(detector.state_dict(), state, free=FREE[spec.method])


def differences(wanted: dict[str, Tensor], state: dict[str, Tensor], *, free: tuple[str, ...] = ()) -> str | None:
    """Say in one line in what tensors differ from those that a network wants; None where they can be its own.

    Args:
        wanted: the network's tensors by name.
        state: those that it is given.
        free: beginnings of names; those that share one may be missing, all or none of them.
    """
    started = tuple(prefix for prefix in free if any(name.startswith(prefix) for name in state))
    may_lack = tuple(prefix for prefix in free if prefix not in started)
    counted = "num_batches_tracked"  # older files do without
    shared = [name for name in wanted if name in state]
    found = {
        "of another shape": [name for name in shared if state[name].shape != wanted[name].shape],
        "missing": [n for n in wanted if n not in state and not n.startswith(may_lack) and not n.endswith(counted)],
        "unknown": [name for name in state if name not in wanted],
        "of another type": [name for name in shared if not _same_kind(state[name].dtype, wanted[name].dtype)],
    }
    if not any(found.values()):
        taken = {name: state[name].to(wanted[name].dtype) for name in shared}
        found["with NaN or infinite numbers"] = [name for name in shared if not bool(taken[name].isfinite().all())]
        variances = [name for name in shared if name.endswith("running_var")]
        found["with negative variances"] = [name for name in variances if bool((taken[name] < 0).any())]
    told = ", ".join(f"{len(names)} {what}" for what, names in found.items() if names)
    if not told:
        return None if state else "it holds no tensors"
    first = next(name for names in found.values() for name in names)
    shapes = (
        f", {tuple(state[first].shape)} instead of {tuple(wanted[first].shape)}" if found["of another shape"] else ""
    )
    return f"of {len(wanted)} tensors {told}; first: {shown(first)}{shapes}"


def _same_kind(given: torch.dtype, wanted: torch.dtype) -> bool:
    """Tell whether numbers of one type can become those of the other without losing what they mean."""
    floats, counts = (torch.float16, torch.bfloat16, torch.float32, torch.float64), (torch.int32, torch.int64)
    return given in (floats if wanted.is_floating_point else counts)
