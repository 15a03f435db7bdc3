"""DSP-FWA: a ResNet-50 under a spatial pyramid, made to see the traces of warped faces (Li & Lyu, CVPRW 2019).

Facts from danmohaha/DSP-FWA@4daec00, which now lies at yuezunli/DSP-FWA.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from dualface.models.backbone import FEATURES, make

BINS = (1, 2, 6)  # of the pyramid's levels, along each side
STRIDE = 32  # px of a face for one place of the last map
CLASSES = 2  # officially 0 = fake, 1 = real
# Tensors of the official file that no forward pass uses: the last layers of two ResNets, one around the other.
UNUSED = ("resnet.resnet.fc.", "resnet.fc.")


class DspFwa(nn.Module):
    """The network, with the 23,675,970 parameters that a forward pass uses.

    Differs from the official code: its 2,053,098 parameters of two last layers that nothing uses are not here.

    Attributes:
        backbone: ResNet-50 to its last map.
        classifier: the pyramid to the logits of the official classes.
    """

    def __init__(self, weights: str = "none") -> None:
        """Make it.

        Args:
            weights: of the ResNet-50, as `dualface.models.backbone.make` takes them. The official code starts from
                ImageNet's too, though they were made for pixels in another order and range.

        Raises:
            CheckpointError: the weights can't be obtained or do not fit.
        """
        super().__init__()
        *stages, _pooling, _last = make("resnet50", weights=weights).named_children()
        self.backbone = nn.Sequential(OrderedDict(stages))
        self.classifier = nn.Linear(FEATURES["resnet50"] * sum(bins**2 for bins in BINS), CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Score faces.

        Args:
            pixels: `(N, 3, S, S)` float32, BGR, 0 to 255 less the means (103.939, 116.779, 123.68); in any memory
                layout. `fits` tells which S work.

        Returns:
            `(N, 1)` float32 logits of FAKE: official class 0 less class 1.

        Raises:
            ValueError: the pyramid is not defined for faces of this size.
        """
        side = pixels.shape[-1]
        if not fits(side):
            raise ValueError(
                f"faces of {side} px: DSP-FWA's spatial pyramid is undefined on a map of side {map_side(side)}; "
                "161 to 224 px work, and the other sizes that `fits` allows"
            )
        features = spatial_pyramid(self.backbone(pixels))
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would tie scores
            logits: Tensor = self.classifier(features.float())  # (N, 2)
        return logits[:, :1] - logits[:, 1:]


def spatial_pyramid(maps: Tensor) -> Tensor:
    """Pool maps to their maxima over 1, 2 by 2 and 6 by 6 windows.

    Args:
        maps: `(N, C, H, H)` floats, H one of those that `fits` allows; with others there are more windows than bins.

    Returns:
        `(N, 41 * C)`: one level after the other, each by channel, then row, then column.
    """
    side = maps.shape[-1]
    levels = [max_pool2d(maps, -(-side // bins), stride=side // bins) for bins in BINS]
    return torch.cat([level.flatten(1) for level in levels], 1)


def map_side(input_size: int) -> int:
    """Return the side of ResNet-50's last map of a square face of `input_size` px: each halving rounds up."""
    return -(-input_size // STRIDE)


def fits(input_size: int) -> bool:
    """Tell whether the pyramid is defined for square faces of `input_size` px.

    A level has windows of ceil(side / bins) at steps of floor(side / bins), without padding. They are as many as
    its bins where the remainder of side / bins is at most the step: for 6 bins on maps of 6-7, 12-14, 18-21, 24-28
    and at least 30, which are faces of 161-224, 353-448, 545-672, 737-896 and at least 929 px. On maps below 6
    there is no step at all.
    """
    side = map_side(input_size)
    return all(side >= bins and side % bins <= side // bins for bins in BINS)


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name an official checkpoint's tensors as `DspFwa` does.

    The two unused last layers are dropped, and a classifier of another number of classes. Unknown names stay.

    Args:
        official: tensors by name, without `module.` (of SPP-res50.pth: the dict under `net`).
    """
    ours = {}
    for name, tensor in official.items():
        other_classes = name.startswith("classifier.") and tensor.shape[:1] != (CLASSES,)
        if not name.startswith(UNUSED) and not other_classes:
            ours[name.replace("resnet.resnet.", "backbone.", 1)] = tensor
    return ours
