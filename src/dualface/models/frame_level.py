"""Methods that judge each face by itself, in the clothes that training and scoring know."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from dualface.models.logits import Logits, repeat_last
from dualface.models.pieces import in_pieces


@dataclass(frozen=True)
class Pixels:
    """What a network takes: `(value / divisor - mean) / std` by channel, in its own order of colours.

    Attributes:
        divisor: of the values 0 to 255.
        mean: of each channel, after the division.
        std: of each channel, after the division.
        bgr: whether blue comes first.
    """

    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __str__(self) -> str:
        """Tell it in words: `RGB / 255, less 0.5 0.5 0.5, over 0.5 0.5 0.5`."""
        scaled = f"{'BGR' if self.bgr else 'RGB'} / {self.divisor:g}"
        numbers = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return "{}, less {}, over {}".format(scaled, *numbers)


UNIT = Pixels(255, (0, 0, 0), (1, 1, 1))
HALF = Pixels(255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Mean and standard deviation of ImageNet's pixels, which torchvision's weights expect (Sec. 4.2.1).
IMAGENET = Pixels(255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = Pixels(1, (103.939, 116.779, 123.68), (1, 1, 1), bgr=True)


class Normalise(nn.Module):
    """Turns faces into what a network takes."""

    mean: Tensor
    std: Tensor

    def __init__(self, pixels: Pixels) -> None:
        super().__init__()
        self.pixels = pixels
        self.register_buffer("mean", torch.tensor(pixels.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(pixels.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Turn `(F, S, S, 3)` uint8 RGB into `(F, 3, S, S)` float32, channels last in memory."""
        if self.pixels.bgr:
            faces = faces.flip(-1)
        normalised: Tensor = (faces.permute(0, 3, 1, 2).to(torch.float32) / self.pixels.divisor - self.mean) / self.std
        return normalised


class FrameDetector(nn.Module):
    """A method that judges each face by itself.

    Attributes:
        network: from `(F, 3, S, S)` float32 to `(F, K)` logits of FAKE, one for each component of the score.
    """

    def __init__(self, network: nn.Module, pixels: Pixels) -> None:
        """Dress a network.

        Args:
            network: as above.
            pixels: what it takes.
        """
        super().__init__()
        self.network = network
        self.normalise = Normalise(pixels)

    def forward(self, faces: Tensor, lengths: Tensor, *, frames: int, at_once: int | None = None) -> Logits:
        """Score faces of videos of different lengths; arguments as in `dualface.models.dual.DualNet.forward`.

        Returns:
            Logits for the B videos' T frames, and none for the videos.
        """
        components = in_pieces(self.features, faces, at_once=at_once, network=self.network)
        return laid_out(components, lengths, frames=frames)

    def features(self, faces: Tensor) -> Tensor:
        """Turn `(F, S, S, 3)` uint8 faces into `(F, K)` logits, in one batch."""
        components: Tensor = self.network(self.normalise(faces))
        return components


def laid_out(components: Tensor, lengths: Tensor, *, frames: int) -> Logits:
    """Lay out `(F, K)` logits by videos, in float32 also under autocast; lengths `(B,)`."""
    of_videos = repeat_last(components.float(), lengths, frames=frames)  # (B, T, K)
    return Logits(None, mean_score(of_videos), of_videos)


def mean_score(components: Tensor) -> Tensor:
    """Return the logit of the mean of the components' probabilities: `(..., K)` to `(...)`.

    The logit of a mean would lose all digits where probabilities are near 0 or 1; its logarithms do not.
    """
    if components.shape[-1] == 1:
        return components.squeeze(-1)
    return logsigmoid(components).logsumexp(-1) - logsigmoid(-components).logsumexp(-1)


class MixingDetector(FrameDetector):
    """BBN: in training with its own loss it mixes faces of two samplers.

    Attributes:
        share: of the conventional branch in the mixture; None = it is trained as any other method.
    """

    share: float | None = None

    def forward(self, faces: Tensor, lengths: Tensor, *, frames: int, at_once: int | None = None) -> Logits:
        """Score faces; while it mixes, the second half of the videos are those of the reversed sampler."""
        if self.share is None or not self.training:
            return super().forward(faces, lengths, frames=frames, at_once=at_once)
        uniform = len(lengths) // 2
        count = int(lengths[:uniform].sum())
        order = count + torch.randperm(len(faces) - count)
        mixed = self.network.mixed(  # type: ignore[operator]
            self.normalise(torch.cat([faces[:count], faces[order.to(faces.device)]])), uniform=count, share=self.share
        )
        back = torch.cat([torch.arange(count), count + torch.argsort(order)])
        logits = laid_out(mixed[back.to(faces.device)], lengths, frames=frames)
        weight = torch.full((len(lengths),), 1 - self.share)
        weight[:uniform] = self.share
        return logits._replace(weight=weight.to(faces.device, non_blocking=True))
