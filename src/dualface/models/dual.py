"""The dual-level network (Sec. 3.3): a backbone per face, a GRU over the video, a head for each level."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dualface.models import backbone as backbones
from dualface.models.backbone import FEATURES
from dualface.models.pieces import in_pieces

HIDDEN = 256
LAYERS = 3
POOL = 16
# Mean and standard deviation of ImageNet's pixels, which the backbone's weights expect (Sec. 4.2.1).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Logits(NamedTuple):
    """Logits whose sigmoid is P(fake): `video` `(B,)` and `frame` `(B, T)`; padded frames count nowhere."""

    video: Tensor
    frame: Tensor


class DualNet(nn.Module):
    """Frame-level and video-level detection in one network.

    Attributes:
        backbone: faces to features.
        gru: features over time to hidden states.
        frame_head: a hidden state to the frame's logit.
        video_head: the pooled map to the video's logit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str, *, weights: str = "none", init: str = "paper") -> None:
        """Make it.

        Args:
            backbone: a key of `dualface.models.backbone.FEATURES`.
            weights: of the backbone, as `dualface.models.backbone.make` takes them.
            init: of all other layers: `paper` for N(0, 0.01) and biases 0 (Sec. 4.2.3), `torch` for torch's own.

        Raises:
            CheckpointError: the backbone is unknown, or its weights can't be used.
        """
        super().__init__()
        self.backbone = backbones.make(backbone, weights=weights)
        self.gru = nn.GRU(FEATURES[backbone], HIDDEN, num_layers=LAYERS, batch_first=True)
        self.frame_head = nn.Linear(HIDDEN, 1)
        self.video_head = nn.Linear(POOL * POOL, 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        for name, parameter in self.named_parameters():
            if init == "paper" and not name.startswith(backbones.PREFIX):
                with torch.no_grad():
                    if "bias" in name:
                        parameter.zero_()
                    else:
                        parameter.normal_(0, 0.01)

    def forward(self, faces: Tensor, lengths: Tensor, *, frames: int, at_once: int | None = None) -> Logits:
        """Score videos of different lengths.

        Args:
            faces: `(F, S, S, 3)` uint8, RGB: the faces of all videos of the batch, one video after the other,
                without padding: each face passes the backbone once, whatever the lengths.
            lengths: `(B,)` int64, number of faces of each video, from 1 to `frames`, summing to F; on the CPU, so
                that nothing waits for the device.
            frames: T, the length to which shorter videos are padded. A video's logits depend on it, so it is the
                model's window and not the longest video of a batch.
            at_once: in training, faces that pass the backbone at once (`dualface.models.pieces`); None = all.

        Returns:
            Logits for the B videos and their T frames.
        """
        features = in_pieces(self.features, faces, at_once=at_once, network=self.backbone)
        return self.heads(self.repeat_last(features, lengths, frames=frames))

    def features(self, faces: Tensor) -> Tensor:
        """Turn `(F, S, S, 3)` uint8 faces into `(F, D)` features, in one batch."""
        pixels = faces.permute(0, 3, 1, 2).to(torch.float32) / 255  # (F, 3, S, S), channels last in memory
        features: Tensor = self.backbone((pixels - self.mean) / self.std)
        return features

    @staticmethod
    def repeat_last(features: Tensor, lengths: Tensor, *, frames: int) -> Tensor:
        """Lay out `(F, D)` features as `(B, T, D)`; a shorter video repeats its last face (Sec. 4.2.1).

        Differs from the paper: the features are repeated instead of the faces. They have the same values without
        the cost, and batch normalisation sees each face once. Repeated frames are in no loss and no metric.
        """
        last = lengths.cumsum(0) - 1  # (B,) row of each video's last face
        first = last - lengths + 1
        rows = torch.minimum(first[:, None] + torch.arange(frames), last[:, None])  # (B, T)
        return features[rows.to(features.device, non_blocking=True)]  # (B, T, D)

    def heads(self, features: Tensor) -> Logits:
        """Turn `(B, T, D)` features into logits, in float32 also under autocast.

        bfloat16 has 8 bits: scores would fall on a few hundred values, and ties hide the order that AUC measures.
        """
        with torch.autocast(features.device.type, enabled=False):
            hidden, _ = self.gru(features.float())  # (B, T, 256)
            frame = self.frame_head(hidden).squeeze(-1)  # (B, T)
            return Logits(self.video_head(self.pool(hidden)).squeeze(-1), frame)

    @staticmethod
    def pool(hidden: Tensor) -> Tensor:
        """Average the `(B, T, 256)` map into 16 bins of time by 16 bins of features; return `(B, 256)`."""
        return nn.functional.adaptive_avg_pool2d(hidden[:, None], POOL).flatten(1)
