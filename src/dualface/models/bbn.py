"""BBN: two branches, one for faces as they come and one for rare classes first (Zhou et al., CVPR 2020).

Facts from Megvii-Nanjing/BBN@7992e90, which now lies at megvii-research/BBN.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from dualface.models.backbone import FEATURES, make

LAST_BLOCKS = 2  # of layer4; its third is what the branches stand for
CLASSES = 2  # 1 = FAKE: the official code knows no fakes, so that its order is free
# The official names of the branches, and ours.
BRANCHES = {"backbone.cb_block.": "conventional.", "backbone.rb_block.": "rebalancing."}


class Bbn(nn.Module):
    """BBN-ResNet-50 for two classes, 27,978,818 parameters.

    Differs from the official code: without weights, the backbone starts as torchvision starts its ResNets, with
    normal numbers instead of uniform ones. The branches start as in the official code.

    Attributes:
        backbone: ResNet-50 to the second last block of layer4, shared by the branches.
        conventional: the last block for faces of the uniform sampler.
        rebalancing: the last block for faces of the reversed sampler, which draws rare classes more often.
        classifier: features of both branches to the logits of the classes.
    """

    def __init__(self, weights: str = "none") -> None:
        """Make it.

        Args:
            weights: of the backbone, as `dualface.models.backbone.make` takes them for a whole ResNet-50; the last
                block of layer4 is dropped.
                Differs from the official code: its loader refuses such a file for that block.

        Raises:
            CheckpointError: the weights can't be obtained or do not fit.
        """
        super().__init__()
        *stages, (last, layer4), _pooling, _classifier = make("resnet50", weights=weights).named_children()
        kept = nn.Sequential(*list(layer4.children())[:LAST_BLOCKS])
        self.backbone = nn.Sequential(OrderedDict([*stages, (last, kept)]))
        width = FEATURES["resnet50"]
        self.conventional = Bottleneck(width, width // Bottleneck.expansion)
        self.rebalancing = Bottleneck(width, width // Bottleneck.expansion)
        self.classifier = nn.Linear(2 * width, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Score faces as after training: both branches see each face, and count the same.

        Args:
            pixels: `(N, 3, S, S)` float32, RGB, normalised by ImageNet's mean and standard deviation.

        Returns:
            `(N, 1)` float32 logits of FAKE: class 1 less class 0.
        """
        maps = self.backbone(pixels)  # (N, 2048, H, W)
        return self._logits(_averages(self.conventional(maps)), _averages(self.rebalancing(maps)))

    def mixed(self, pixels: Tensor, *, uniform: int, share: float) -> Tensor:
        """Score faces as in training: each by one branch, mixed in pairs of a face of either sampler.

        A pair has the logit of 2 * [share * conventional ; (1 - share) * rebalancing]. The i-th face of one sampler
        is in a pair with the i-th of the other, which is counted round where there are fewer of them. The loss is
        share * CE over the uniform faces + (1 - share) * CE over the reversed ones, each a mean.

        As in the official code the faces of each sampler pass the backbone on their own: in training, batch
        normalisation takes its statistics from one sampler's faces.

        Args:
            pixels: `(N, 3, S, S)` float32 as for `forward`: the faces of the uniform sampler, then the others.
            uniform: number of faces of the uniform sampler, from 1 to N - 1.
            share: weight of the conventional branch, 0 to 1 (`share` of this module, by the epoch).

        Returns:
            `(N, 1)` float32 logits of FAKE, of the pair with the face's own number.

        Raises:
            ValueError: a sampler has no face.
        """
        others = len(pixels) - uniform
        if uniform < 1 or others < 1:
            raise ValueError(f"{uniform} of {len(pixels)} faces are uniform: each sampler needs a face at least")
        conventional = _averages(self.conventional(self.backbone(pixels[:uniform])))  # (uniform, 2048)
        rebalancing = _averages(self.rebalancing(self.backbone(pixels[uniform:])))  # (others, 2048)
        pair = torch.arange(max(uniform, others), device=pixels.device)
        logits = self._logits(
            2 * share * conventional[pair % uniform], 2 * (1 - share) * rebalancing[pair % others]
        )  # (pairs, 1)
        return torch.cat([logits[:uniform], logits[:others]])

    def _logits(self, conventional: Tensor, rebalancing: Tensor) -> Tensor:
        features = torch.cat([conventional, rebalancing], 1)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would tie scores
            logits: Tensor = self.classifier(features.float())  # (N, 2)
        return logits[:, 1:] - logits[:, :1]


def share(epoch: int, epochs: int) -> float:
    """Return the weight of the conventional branch, which falls from 1 as a parabola: 1 - ((epoch - 1) / epochs)^2.

    Differs from the official code: 90 and 180 epochs count as themselves, not as 100 and 200.

    Args:
        epoch: from 1.
        epochs: of the whole training.
    """
    return 1 - ((epoch - 1) / epochs) ** 2


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name an official checkpoint's tensors as `Bbn` does.

    A classifier of another number of classes is dropped (the published files know thousands of species). Unknown
    names stay.

    Args:
        official: tensors by name, without `module.` (of the published files: the dict under `state_dict`).
    """
    ours = {}
    for name, tensor in official.items():
        if name.startswith("classifier.") and tensor.shape[:1] != (CLASSES,):
            continue
        branch = next((branch for branch in BRANCHES if name.startswith(branch)), "")
        ours[BRANCHES.get(branch, "") + name.removeprefix(branch)] = tensor
    return ours


def _averages(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))  # (N, C)
