"""Weights from .safetensors files, checked against the network that is to take them."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dualface.errors import CheckpointError
from dualface.methods import Spec

FAMILY = ("dual", "cnn_gru", "cnn_lstm")  # one network and its corners
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
    if not path.is_file():
        raise CheckpointError(f"{setting}: {path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            method = (file.metadata() or {}).get("method")
            return {name: file.get_tensor(name) for name in file.keys()}, method  # noqa: SIM118  (no mapping)
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:200]
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
        raise CheckpointError(f"train.init: {path}: weights of {method}, and train.method is {spec.method}")
    if problem := misfit(detector, state, spec=spec):
        raise CheckpointError(f"train.init: {path}: does not fit {spec.method}: {problem}")
    with torch.no_grad():
        detector.load_state_dict(state, strict=False)
    return set(state)


def misfit(detector: nn.Module, state: dict[str, Tensor], *, spec: Spec) -> str | None:
    """Say in one line why tensors do not fit a network; None where they do."""
    wanted = detector.state_dict()
    counted = tuple(name for name in wanted if name.endswith("num_batches_tracked"))  # older files do without
    missing = [n for n in wanted if n not in state and not n.startswith(FREE[spec.method]) and n not in counted]
    other = [n for n in wanted if n in state and state[n].shape != wanted[n].shape]
    unknown = [name for name in state if name not in wanted]
    if not (missing or other or unknown) and state:
        return None
    told = [f"{len(names)} {what}" for names, what in ((missing, "missing"), (unknown, "unknown")) if names]
    told += [f"{len(other)} of another shape"] if other else []
    first = (other + missing + unknown or ["none"])[0]
    shapes = f", {tuple(state[first].shape)} instead of {tuple(wanted[first].shape)}" if first in other else ""
    return f"of {len(wanted)} tensors {', '.join(told)}; first: {first}{shapes}"
