"""Xception as FaceForensics++ uses it (Rössler et al., ICCV 2019; ondyari/FaceForensics@b952e41)."""

import torch
from timm.models.xception import legacy_xception
from torch import Tensor, nn

from dualface.errors import CheckpointError

FAKE = 1  # index of the official head's two classes
PREFIX = "xception."


class Xception(nn.Module):
    """timm's `legacy_xception` with two classes, REAL and FAKE; 20,811,050 parameters.

    Attributes:
        xception: timm's network; its head `fc` gives the official two logits.
    """

    def __init__(self, *, imagenet: bool = False) -> None:
        """Make it.

        Args:
            imagenet: whether all but the head starts from timm's ImageNet weights, which timm downloads or finds in
                its cache.

        Raises:
            CheckpointError: the weights can't be obtained.
        """
        super().__init__()
        try:
            self.xception = legacy_xception(pretrained=imagenet, num_classes=2)
        except OSError as error:
            raise CheckpointError(
                f"train.weights: ImageNet weights for xception could not be downloaded ({error}); "
                "give `none`, or a file of `dualface import-weights` as train.init"
            ) from None

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn `(N, 3, S, S)` float32 RGB in [-1, 1] into `(N, 1)` float32 logits of FAKE."""
        maps = self.xception.forward_features(pixels)
        with torch.autocast(maps.device.type, enabled=False):
            both: Tensor = self.xception.forward_head(maps.float())  # (N, 2)
        return both[:, FAKE, None] - both[:, 1 - FAKE, None]


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Map the tensors of an official file to the names and layouts here.

    Args:
        official: of the ImageNet file `xception-b5690688.pth` (its 1000-way head is dropped), or of a
            FaceForensics++ network (`model.*`, head `model.last_linear.*`, with dropout `model.last_linear.1.*`).

    Returns:
        A state_dict; what it does not know keeps its name, after the prefix.
    """
    state = {}
    for name, tensor in official.items():
        part = name.removeprefix("model.").replace("last_linear.1.", "fc.").replace("last_linear.", "fc.")
        if part.startswith("fc.") and tensor.shape[:1] != (2,):
            continue
        # 1x1 convolutions are stored as matrices in the ImageNet file.
        layout = tensor[:, :, None, None] if part.endswith("pointwise.weight") and tensor.ndim == 2 else tensor
        state[PREFIX + part] = layout
    return state
