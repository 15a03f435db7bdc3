"""The dual-level network (Sec. 3.3): a backbone per face, a GRU over the video, a head for each level; and its parts.

Without one of the heads, or with another module over time or none, it is each row of the paper's ablation (Table 6),
and the comparison methods CNN+GRU and CNN+LSTM.
"""

from typing import Self

import torch
from torch import Tensor, nn

from dualface.models import backbone as backbones
from dualface.models.backbone import FEATURES
from dualface.models.frame_level import IMAGENET, Normalise
from dualface.models.logits import Logits, repeat_last
from dualface.models.pieces import in_pieces

HIDDEN = 256
LAYERS = 3
POOL = 16


class DualNet(nn.Module):
    """Frame-level and video-level detection in one network.

    Attributes:
        backbone: faces to features.
        rnn: features over time to hidden states; where there is none, the heads look at the features.
        frame_head: a hidden state to the frame's logit; None where frames are not judged.
        video_head: the pooled map to the video's logit; None where videos are not judged.
    """

    def __init__(
        self,
        backbone: str,
        *,
        temporal: str = "gru",
        levels: tuple[str, ...] = ("video", "frame"),
        weights: str = "none",
        init: str = "paper",
    ) -> None:
        """Make it.

        Args:
            backbone: a key of `dualface.models.backbone.FEATURES`.
            temporal: `gru`, `lstm` or `none`.
            levels: `video`, `frame` or both.
            weights: of the backbone, as `dualface.models.backbone.make` takes them.
            init: of all other layers: `paper` for N(0, 0.01) and biases 0 (Sec. 4.2.3), `torch` for torch's own.

        Raises:
            CheckpointError: the backbone is unknown, or its weights can't be used.
        """
        super().__init__()
        self.backbone = backbones.make(backbone, weights=weights)
        self.rnn = _temporal(temporal, features=FEATURES[backbone])
        self.frame_head = nn.Linear(HIDDEN if self.rnn else FEATURES[backbone], 1) if "frame" in levels else None
        self.video_head = nn.Linear(POOL * POOL, 1) if "video" in levels else None
        self.normalise = Normalise(IMAGENET)
        self._frozen = False
        for name, parameter in self.named_parameters():
            if init == "paper" and not name.startswith(backbones.PREFIX):
                with torch.no_grad():
                    if "bias" in name:
                        parameter.zero_()
                    else:
                        parameter.normal_(0, 0.01)

    def freeze_backbone(self) -> None:
        """Train the backbone no more; it stays as it is, its normalisation's averages included."""
        self._frozen = True
        self.backbone.requires_grad_(requires_grad=False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation; a frozen backbone stays in evaluation."""
        super().train(mode)
        if self._frozen:
            self.backbone.eval()
        return self

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
        return self.heads(repeat_last(features, lengths, frames=frames))

    def features(self, faces: Tensor) -> Tensor:
        """Turn `(F, S, S, 3)` uint8 faces into `(F, D)` features, in one batch."""
        features: Tensor = self.backbone(self.normalise(faces))
        return features

    def heads(self, features: Tensor) -> Logits:
        """Turn `(B, T, D)` features into logits, in float32 also under autocast.

        bfloat16 has 8 bits: scores would fall on a few hundred values, and ties hide the order that AUC measures.
        """
        with torch.autocast(features.device.type, enabled=False):
            hidden = features.float()
            if self.rnn is not None:
                hidden, _ = self.rnn(hidden)  # (B, T, 256)
            frame = None if self.frame_head is None else self.frame_head(hidden).squeeze(-1)  # (B, T)
            video = None if self.video_head is None else self.video_head(self.pool(hidden)).squeeze(-1)  # (B,)
            return Logits(video, frame)

    @staticmethod
    def pool(hidden: Tensor) -> Tensor:
        """Average the `(B, T, D)` map into 16 bins of time by 16 bins of features; return `(B, 256)`."""
        return nn.functional.adaptive_avg_pool2d(hidden[:, None], POOL).flatten(1)


def _temporal(name: str, *, features: int) -> nn.GRU | nn.LSTM | None:
    match name:
        case "gru":
            return nn.GRU(features, HIDDEN, num_layers=LAYERS, batch_first=True)
        case "lstm":
            return nn.LSTM(features, HIDDEN, num_layers=LAYERS, batch_first=True)
        case _:
            return None


# Parts of the published code's network (PWB97/Deepfake-detection@ce56e6c, models/model.py) by our names.
STEM = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
PARTS = {"rnn": "rnn", "fc_cnn": "frame_head", "fc_rnn": "video_head"}
RESNET = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give tensors of the published code's network, or of torchvision's ResNet, our names.

    A classifier of ImageNet's classes (`fc.*`) is left out; unknown names stay as they are.
    """
    return {_our_name(name): tensor for name, tensor in official.items() if not name.startswith("fc.")}


def _our_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part in RESNET:
        return f"{backbones.PREFIX}{name}"
    number, _, within = rest.partition(".")
    if part == "cnn" and number in STEM:
        return f"{backbones.PREFIX}{STEM[number]}.{within}"
    return f"{PARTS[part]}.{rest}" if part in PARTS else name
