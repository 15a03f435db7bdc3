"""Capsule-Forensics v2 (Nguyen et al., arXiv:1910.12467; nii-yamagishilab/Capsule-Forensics-v2@e12f405).

The quirks of the official code are kept, since official weights depend on them: primary capsules are squashed
across capsules and not across their components, routing takes the product with the output component by component,
and training adds one noise to the routing weights of the whole batch and drops predictions without making up for it.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torchvision.models.vgg import VGG19_Weights, cfgs, make_layers

from dualface.errors import CheckpointError

TRUNK = 19  # layers of VGG19's features, to the third pooling
CAPSULES, COMPONENTS = 10, 8  # primary
CLASSES, CLASS_COMPONENTS = 2, 4  # class capsules; REAL is 0, FAKE is 1
ITERATIONS = 2
NOISE, DROPPED = 0.01, 0.05


class Capsule(nn.Module):
    """Ten primary capsules on the first layers of VGG19, routed to the capsules REAL and FAKE.

    1,571,070 parameters, and 2,325,568 of the trunk.

    Attributes:
        trunk: `(N, 3, S, S)` to `(N, 256, S / 8, S / 8)`.
        capsules: the primary ones, each `(N, 256, H, W)` to `(N, 8)`.
        route_weights: `(2, 10, 4, 8)`, from each primary capsule to each class capsule.
    """

    def __init__(self, *, imagenet: bool = False) -> None:
        """Make it.

        Differs from the official code: without weights the trunk starts at random (He) and is trained. The official
        trunk always has ImageNet's weights and stays as it is.

        Args:
            imagenet: whether the trunk gets torchvision's ImageNet weights, which torchvision downloads or finds in
                its cache, and stays as it is.

        Raises:
            CheckpointError: the weights can't be obtained.
        """
        super().__init__()
        self.trunk = make_layers(cfgs["E"])[:TRUNK]
        self.capsules = nn.ModuleList(_primary_capsule() for _ in range(CAPSULES))
        self.route_weights = nn.Parameter(torch.randn(CLASSES, CAPSULES, CLASS_COMPONENTS, COMPONENTS))
        self._frozen = False
        if imagenet:
            self.trunk.load_state_dict(_imagenet())
            self.freeze_trunk()
        else:
            self.trunk.apply(_start_like_he)

    def freeze_trunk(self) -> None:
        """Train the trunk no more: it has its weights, from ImageNet or from a file."""
        self._frozen = True
        self.trunk.requires_grad_(requires_grad=False)
        self.trunk.eval()

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation; a frozen trunk stays in evaluation."""
        super().train(mode)
        if self._frozen:
            self.trunk.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels into logits of FAKE, one for each component of the class capsules.

        Args:
            pixels: `(N, 3, S, S)` float32 RGB, normalised as for ImageNet.

        Returns:
            `(N, 4)` float32. P(FAKE) of a face is the mean of their sigmoids. The official loss, the sum over
            components of the cross-entropy of both classes, is the sum of their binary cross-entropies.
        """
        classes = self.classes(pixels)
        return classes[:, :, 1] - classes[:, :, 0]

    def classes(self, pixels: Tensor) -> Tensor:
        """Return the class capsules, `(N, 4, 2)` float32: the official output."""
        maps = self.trunk(pixels)  # (N, 256, H, W)
        primary = torch.stack([capsule(maps) for capsule in self.capsules], dim=-1)  # (N, 8, 10)
        with torch.autocast(maps.device.type, enabled=False):
            primary = squash(primary.float())
            if not self.training:
                return route(primary, self.route_weights)
            noise, kept = self.draw(len(pixels))
            return route(primary, self.route_weights + NOISE * noise, kept=kept)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw what training disturbs, from torch's generator.

        Args:
            count: N.

        Returns:
            The noise `(2, 10, 4, 8)`, N(0, 1), shared by the batch; and `(N, 2, 10, 4)`, 0 where a prediction is
            dropped, else 1.
        """
        shape = (count, CLASSES, CAPSULES, CLASS_COMPONENTS)
        kept = torch.bernoulli(self.route_weights.new_full(shape, 1 - DROPPED))
        return torch.randn_like(self.route_weights), kept


class Statistics(nn.Module):
    """Mean and unbiased standard deviation over space: `(N, C, H, W)` to `(N, 2, C)`; at least two pixels."""

    def forward(self, maps: Tensor) -> Tensor:
        """Compute them."""
        spread, mean = torch.std_mean(maps, dim=(2, 3))
        return torch.stack([mean, spread], dim=1)


def squash(vectors: Tensor) -> Tensor:
    """Give vectors along the last axis a length below 1: `|v|^2 / (1 + |v|^2) * v / |v|`, without the division.

    Differs from the official code: the vector of zeros stays zeros, where the division by its length gives NaN.
    """
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    squashed: Tensor = vectors * length / (1 + length.square())
    return squashed


def route(primary: Tensor, weights: Tensor, *, kept: Tensor | None = None) -> Tensor:
    """Route primary capsules to class capsules.

    Args:
        primary: `(N, 8, 10)`, squashed.
        weights: `(2, 10, 4, 8)`.
        kept: `(N, 2, 10, 4)`, factors of the predictions; None = 1.

    Returns:
        `(N, 4, 2)`, squashed over the 4 components.
    """
    predictions = torch.einsum("oidk,nki->noid", weights, primary)  # (N, 2, 10, 4)
    if kept is not None:
        predictions = predictions * kept
    logits = torch.zeros_like(predictions)
    for _ in range(ITERATIONS - 1):
        logits = logits + predictions * _agreed(predictions, logits)
    return _agreed(predictions, logits).squeeze(2).transpose(1, 2)


def _agreed(predictions: Tensor, logits: Tensor) -> Tensor:
    """Average predictions over the primary capsules, `(N, 2, 10, 4)` to `(N, 2, 1, 4)`, and squash."""
    return squash((logits.softmax(2) * predictions).sum(2, keepdim=True))


def _primary_capsule() -> nn.Sequential:
    """Make a primary capsule; its layers have the official numbers."""
    capsule = nn.Sequential(
        *(nn.Conv2d(256, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        Statistics(),
        *(nn.Conv1d(2, 8, 5, stride=2, padding=2), nn.BatchNorm1d(8)),
        *(nn.Conv1d(8, 1, 3, padding=1), nn.BatchNorm1d(1)),
        nn.Flatten(),
    )
    for layer in capsule:
        if isinstance(layer, nn.Conv2d | nn.Conv1d):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(layer.weight, 1, 0.02)
    return capsule


def _start_like_he(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def _imagenet() -> dict[str, Tensor]:
    """Return the trunk's tensors of torchvision's VGG19."""
    try:
        whole = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        file = VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
        raise CheckpointError(
            f"train.weights: ImageNet weights for capsule could not be downloaded ({error}); "
            f"put {file} into {torch.hub.get_dir()}/checkpoints, or give `none`"
        ) from None
    parts = {name.removeprefix("features."): tensor for name, tensor in whole.items() if name.startswith("features.")}
    return {name: tensor for name, tensor in parts.items() if int(name.split(".")[0]) < TRUNK}


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Map the tensors of an official file to the names here.

    Args:
        official: `fea_ext.capsules.*` and `routing_stats.route_weights`; also the trunk, as `vgg_1.*`, if it is
            there. Official files have no trunk: it has ImageNet's weights.

    Returns:
        A state_dict; what it does not know keeps its name.
    """
    ours = {"fea_ext.capsules.": "capsules.", "routing_stats.route_weights": "route_weights", "vgg_1.": "trunk."}
    state = {}
    for name, tensor in official.items():
        old = next((old for old in ours if name.startswith(old)), "")
        state[ours.get(old, "") + name.removeprefix(old)] = tensor
    return state
