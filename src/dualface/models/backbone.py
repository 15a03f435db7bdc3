"""ResNet backbones: a face in, a feature vector out."""

from pathlib import Path

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dualface.errors import CheckpointError

FEATURES = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048}


def resnet(name: str, *, weights: str) -> nn.Module:
    """Make torchvision's ResNet without its last layer.

    Args:
        name: a key of `FEATURES`.
        weights: `none` for torchvision's random start, `imagenet` for its first ImageNet weights, those of the
            paper's time (torchvision downloads them, or finds them in its cache), else the path of a .safetensors
            file with torchvision's names.

    Returns:
        A module from `(N, 3, H, W)` float32 to `(N, FEATURES[name])`.

    Raises:
        CheckpointError: the name is unknown, or the weights can't be obtained or do not fit.
    """
    if name not in FEATURES:
        raise CheckpointError(f"backbone {name!r} is unknown; known: {', '.join(FEATURES)}")
    constructor = getattr(torchvision.models, name)
    try:
        network: nn.Module = constructor(weights="IMAGENET1K_V1" if weights == "imagenet" else None)
    except OSError as error:
        raise CheckpointError(
            f"train.weights: ImageNet weights for {name} could not be downloaded ({error}); "
            "give a .safetensors file, or `none`"
        ) from None
    if weights not in ("none", "imagenet"):
        _load(network, Path(weights))
    network.fc = nn.Identity()
    return network


def _load(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"train.weights: {path}: no such file (or give `none` or `imagenet`)")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"train.weights: {path}: not a safetensors file ({error})") from None
    state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("fc.")}
    wrong = [name for name in wanted if name not in state or state[name].shape != wanted[name].shape]
    unknown = [name for name in state if name not in wanted]
    if wrong or unknown:
        raise CheckpointError(
            f"train.weights: {path}: does not fit this backbone: {len(wrong)} of {len(wanted)} tensors missing or of "
            f"another shape, {len(unknown)} unknown; first: {(wrong + unknown)[0]}"
        )
    with torch.no_grad():
        network.load_state_dict(state, strict=False)
