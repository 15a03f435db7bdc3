"""Weights that a method's authors published, as a file that `train.init` takes."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from dualface import methods, tables
from dualface.errors import CheckpointError, printable, shown
from dualface.methods import FAMILY, METHODS, Spec
from dualface.models import weights
from dualface.models.make import make
from dualface.official import keras, pickles

# ruff: noqa: PLC0415  (imports within functions: a method's own libraries are nobody else's)

MOST_OF_A_CARD = 2**20  # bytes
LONGEST_NAME = 200  # characters of a tensor's name; official ones have up to 60
PRUNED = "num_batches_tracked"  # of older files it is missing, and no result depends on it


@dataclass(frozen=True)
class Imported:
    """What is known of converted weights, as it stands beside them.

    Attributes:
        method: whose they are.
        source: name of the file that they come from.
        source_sha256: of that file.
        tensors: how many there are.
        missing: layers that the file lacks, and that start anew.
        input_size: side of the faces that they need, px; None = any.
        licence: of the authors' code; look at what they say of their weights.
        reference: the method's paper.
    """

    method: str
    source: str
    source_sha256: str
    tensors: int
    missing: list[str]
    input_size: int | None
    licence: str
    reference: str


def convert(method: str, path: Path) -> tuple[dict[str, Tensor], Imported]:
    """Read a published file and give its tensors our names.

    Args:
        method: a key of `dualface.methods.METHODS`.
        path: as its authors published it: .h5, .pth, .pt, .p, or .safetensors. Nothing in it is executed.

    Returns:
        The tensors of `dualface.models.make.make`'s network, and what is known of them.

    Raises:
        CheckpointError: the method is unknown, or the file is missing, damaged, hostile, or of another network.
    """
    if method not in METHODS:
        raise CheckpointError(f"method {method!r} is unknown; known: {', '.join(METHODS)}")
    official = read(path)
    state, spec = _fitted(method, official, where=path)
    known = _empty(spec).state_dict()
    missing = sorted({name.rpartition(".")[0] for name in known if name not in state and not name.endswith(PRUNED)})
    facts = METHODS[method]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    side = spec.input_size if method in ("meso4", "mesoinception4") else None
    source = printable(path.name)
    imported = Imported(method, source, digest, len(state), missing, side, facts.licence, facts.reference)
    return state, imported


def write(path: Path, state: dict[str, Tensor], imported: Imported) -> None:
    """Write `path`, a .safetensors file, and beside it what is known of it as JSON; the same input, the same bytes.

    Raises:
        CheckpointError: it could not be written.
        OSError: likewise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    card = path.with_suffix(".json")
    if not _is_replaceable(card):
        raise CheckpointError(f"{card}: holds something else, and what is known of the weights goes there; give --out")
    with tables.replacing(path) as partial, tables.replacing(card) as partial_card:
        plain = {name: state[name].contiguous() for name in sorted(state)}
        try:
            save_file(plain, partial, metadata={"method": imported.method})  # one entry: their order would be chance
        except SafetensorError as error:  # its own word for a full disk
            raise CheckpointError(f"{path}: could not be written ({shown(error)})") from None
        partial.chmod(0o644)  # safetensors lets only its owner read it
        partial_card.write_text(json.dumps(asdict(imported), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _is_replaceable(card: Path) -> bool:
    """Say whether a file is not there, or is what `write` wrote."""
    if not os.path.lexists(card):
        return True
    try:
        content = json.loads(card.read_bytes()) if card.is_file() and card.stat().st_size < MOST_OF_A_CARD else None
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() == {field.name for field in fields(Imported)}


def told(imported: Imported, *, out: Path) -> str:
    """Say what was written and how it is used, in lines for a terminal."""
    shown_out = printable(str(out))
    lines = [f"{imported.tensors} tensors of {imported.method} in {shown_out}, and what is known of them beside it"]
    if imported.missing:
        some = ", ".join(imported.missing[:3]) + (", ..." if len(imported.missing) > 3 else "")
        lines.append(f"{len(imported.missing)} layers are not in {imported.source} and start anew: {some}")
    if imported.input_size is not None:
        lines.append(f"they need faces of {imported.input_size} px: set faces.input_size")
    lines.append(f"licence of its authors' code: {imported.licence}")
    size = "" if imported.input_size is None else f" -S faces.input_size={imported.input_size}"
    lines.append(f"next: dvc exp run -S train.method={imported.method}{size} -S train.init={shown_out}")
    return "\n".join(lines) + "\n"


def read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a published file, by the names that they have in it.

    Raises:
        CheckpointError: it is missing, damaged, or holds something else.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: a folder; give the file of weights in it")
    if not path.is_file():
        raise CheckpointError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(keras.MAGIC):
        official = keras.read(path)
    elif start[8:9] == b"{":
        official, made_for = weights.read(path, setting="weights")
        if made_for is not None:
            raise CheckpointError(f"{path}: is converted already, for {shown(made_for)}; train.init takes it as it is")
    else:
        official = pickles.read(path)
    for name in official:  # they get into messages, and into our own readers of names
        if len(name) > LONGEST_NAME or not name.isascii() or not name.isprintable():
            raise CheckpointError(f"{path}: {shown(name)} is not the name of a tensor")
    return official


def _fitted(method: str, official: dict[str, Tensor], *, where: Path) -> tuple[dict[str, Tensor], Spec]:
    """Return the tensors by our names, and what determines the network that they are of."""
    problem, state, spec = _tried(method, official)
    if problem is None:
        return state, spec
    others = [name for name in METHODS if name != method and _tried(name, official)[0] is None]
    hint = f"; it fits {' and '.join(others)}" if others else ""
    raise CheckpointError(f"{where}: does not fit {method}: {problem}{hint}")


def _tried(method: str, official: dict[str, Tensor]) -> tuple[str | None, dict[str, Tensor], Spec]:
    state = {_prefixed(method, name): tensor for name, tensor in _renamed(method)(official).items()}
    spec = _spec(method, state)
    network = _empty(spec)
    known = network.state_dict()
    if method in ("cnn_gru", "cnn_lstm"):  # the published network carries the frame head, and does not use it
        state = {name: tensor for name, tensor in state.items() if not name.startswith("frame_head.")}
    problem = weights.misfit(network, state, spec=spec)
    if problem is None and not any(_is_learned(name) for name in state):
        problem = "it holds none of its layers"
    if problem is not None:
        return problem, {}, spec
    return None, {name: tensor.to(known[name].dtype) for name, tensor in state.items()}, spec


def _empty(spec: Spec) -> nn.Module:
    """Make a network that has names and shapes, and no numbers."""
    with torch.device("meta"):
        return make(spec)


def _is_learned(name: str) -> bool:
    return name.endswith((".weight", "weights")) or ".weight_" in name


def _prefixed(method: str, name: str) -> str:
    return name if method in FAMILY else f"network.{name}"


def _spec(method: str, state: dict[str, Tensor]) -> Spec:
    """Tell the network's size, and the backbone of the dual family, from the tensors."""
    side, backbone = METHODS[method].input_size, "resnet50"
    if method in ("meso4", "mesoinception4"):
        side = weights.meso_side(state) or side
    for name, probe in BACKBONES.items():
        if all((key in state) == there for key, there in probe.items()):
            backbone = name
    return methods.spec(method, backbone=backbone, temporal="gru", levels="both", input_size=side)


BACKBONES = {
    "resnet18": {"backbone.layer1.0.conv3.weight": False, "backbone.layer1.2.conv1.weight": False}
    | {"backbone.layer1.1.conv1.weight": True},
    "resnet34": {"backbone.layer1.0.conv3.weight": False, "backbone.layer1.2.conv1.weight": True},
    "resnet50": {"backbone.layer1.0.conv3.weight": True, "backbone.layer3.6.conv1.weight": False},
    "resnet101": {"backbone.layer3.22.conv1.weight": True},
}


def _renamed(method: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    match method:
        case "meso4" | "mesoinception4":
            from dualface.models import meso

            return meso.from_official
        case "xception":
            from dualface.models import xception

            return xception.from_official
        case "capsule":
            from dualface.models import capsule

            return capsule.from_official
        case "dsp_fwa":
            from dualface.models import dsp_fwa

            return dsp_fwa.from_official
        case "bbn":
            from dualface.models import bbn

            return bbn.from_official
        case _:
            from dualface.models import dual

            return dual.from_official
