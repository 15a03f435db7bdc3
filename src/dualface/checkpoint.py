"""Checkpoints: weights in safetensors, facts in a JSON card beside them. No pickle on the way in or out."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dualface import card as cards
from dualface import tables
from dualface.card import Card
from dualface.errors import CheckpointError, shown
from dualface.models.make import make
from dualface.models.weights import differences

WEIGHTS = "model.safetensors"
CARD = "card.json"


def save(folder: Path, state: dict[str, torch.Tensor], card: Card) -> None:
    """Write `model.safetensors` and `card.json` into `folder`, both or none; the card gains the weights' sha256."""
    with tables.replacing(folder) as partial:
        partial.mkdir()
        _write({name: tensor.contiguous().cpu() for name, tensor in state.items()}, partial / WEIGHTS)
        cards.write(partial / CARD, replace(card, weights_sha256=_sha256(partial / WEIGHTS)))


def _write(state: dict[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(state, path)
    except SafetensorError as error:  # its own word for a full disk
        raise CheckpointError(f"{path}: could not be written ({error}); the old model is still there") from None
    path.chmod(0o644)  # safetensors lets only its owner read it


def load(folder: Path) -> tuple[nn.Module, Card]:
    """Rebuild the network from its files alone, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: a file is missing or broken, or the weights are not those that the card names.
    """
    card = cards.read(folder / CARD)
    try:
        if _sha256(folder / WEIGHTS) != card.weights_sha256:
            raise CheckpointError(f"{folder / WEIGHTS}: not the weights that {CARD} describes; run `dvc repro train`")
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise CheckpointError(f"{folder / WEIGHTS}: not found; it is written by `dvc repro train`") from None
    except SafetensorError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS}: not a safetensors file ({shown(error)}); run `dvc repro train`"
        ) from None
    model = make(card.spec)
    if problem := differences(model.state_dict(), state):
        raise CheckpointError(f"{folder / WEIGHTS}: does not fit the model of {CARD}: {problem}; run `dvc repro train`")
    model.load_state_dict(state, strict=False)
    return model.to(memory_format=torch.channels_last).eval(), card


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
