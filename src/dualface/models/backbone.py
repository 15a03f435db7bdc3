"""Backbones: a face in, a feature vector out."""

from pathlib import Path

import torch
import torchvision
from torch import nn

from dualface.errors import CheckpointError
from dualface.models.weights import differences, read

FEATURES = {"cnn4": 96, "resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048}
PREFIX = "backbone."  # of the backbone's tensors in a detector


def make(name: str, *, weights: str) -> nn.Module:
    """Make a backbone: torchvision's ResNet without its last layer, or `cnn4`.

    Args:
        name: a key of `FEATURES`.
        weights: `none` for a random start, `imagenet` for torchvision's first ImageNet weights, those of the
            paper's time (torchvision downloads them, or finds them in its cache), else the path of a .safetensors
            file: a detector that was trained here (`model.safetensors`), or a network with torchvision's names.

    Returns:
        A module from `(N, 3, H, W)` float32 to `(N, FEATURES[name])`.

    Raises:
        CheckpointError: the name is unknown, or the weights can't be obtained or do not fit.
    """
    if name not in FEATURES:
        raise CheckpointError(f"backbone {name!r} is unknown; known: {', '.join(FEATURES)}")
    if name == "cnn4":
        if weights == "imagenet":
            raise CheckpointError("train.weights: there are no ImageNet weights for cnn4; give a file, or `none`")
        small = cnn4()
        if weights != "none":
            _load(small, Path(weights))
        return small
    constructor = getattr(torchvision.models, name)
    try:
        network: nn.Module = constructor(weights="IMAGENET1K_V1" if weights == "imagenet" else None)
    except OSError as error:
        raise CheckpointError(
            f"train.weights: ImageNet weights for {name} could not be downloaded ({error}); "
            f"put them into {torch.hub.get_dir()}/checkpoints, or give a .safetensors file, or `none`"
        ) from None
    if weights not in ("none", "imagenet"):
        _load(network, Path(weights))
    network.fc = nn.Identity()
    return network


def cnn4() -> nn.Module:
    """Make four convolutions of stride 2, 80,000 parameters: for CPUs, and for sets too small for a ResNet.

    Differs from the paper: it has no such network. ResNet-50 is the method's.
    """
    layers: list[nn.Module] = []
    for before, after in zip((3, 16, 32, 64), (16, 32, 64, FEATURES["cnn4"]), strict=True):
        layers.append(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _load(network: nn.Module, path: Path) -> None:
    state, _ = read(path, setting="train.weights")
    if any(name.startswith(PREFIX) for name in state):
        state = {name.removeprefix(PREFIX): tensor for name, tensor in state.items() if name.startswith(PREFIX)}
    state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("fc.")}
    if problem := differences(wanted, state):
        raise CheckpointError(f"train.weights: {path}: does not fit this backbone: {problem}")
    with torch.no_grad():
        network.load_state_dict(state, strict=False)
