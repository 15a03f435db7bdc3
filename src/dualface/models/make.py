"""Networks by their specification. Each method's module, and what it needs, is loaded only where it is asked for."""

from pathlib import Path

from torch import nn

from dualface.errors import CheckpointError
from dualface.methods import METHODS, Spec
from dualface.models import weights as files
from dualface.models.frame_level import CAFFE, HALF, IMAGENET, UNIT, FrameDetector, MixingDetector

# ruff: noqa: PLC0415  (imports within functions: a method's own libraries are nobody else's)


def make(spec: Spec, *, weights: str = "none", init: str = "torch") -> nn.Module:
    """Make a method's network.

    Args:
        spec: what determines it.
        weights: of its backbone: `none`, `imagenet`, or, where it is a plain ResNet, a .safetensors file.
        init: of all other layers: `torch`, `paper`, or a .safetensors file with the weights of all layers, from
            `dualface import-weights` or a training; it wins over `weights`. Layers that it lacks start as with `torch`.

    Returns:
        A module as `dualface.models.dual.DualNet`: uint8 faces of videos in, `Logits` out.

    Raises:
        CheckpointError: weights can't be had, or do not fit.
    """
    from_file = init not in ("torch", "paper")
    detector = _network(spec, weights=weights, init="torch" if from_file else init)
    if from_file:
        held = files.load(detector, Path(init), spec=spec)
        if spec.method == "capsule" and weights == "none" and not any(".trunk." in name for name in held):
            raise CheckpointError(
                f"train.init: {init}: has no VGG-19 trunk, which its authors took from ImageNet; "
                "set train.weights: imagenet"
            )
    if isinstance(detector, FrameDetector) and spec.method == "capsule" and (from_file or weights == "imagenet"):
        detector.network.freeze_trunk()  # type: ignore[operator]
    return detector


def _network(spec: Spec, *, weights: str, init: str) -> nn.Module:  # noqa: PLR0911  (one return per method)
    match spec.method:
        case "meso4":
            from dualface.models.meso import Meso4

            return FrameDetector(Meso4(spec.input_size), UNIT)
        case "mesoinception4":
            from dualface.models.meso import MesoInception4

            return FrameDetector(MesoInception4(spec.input_size), UNIT)
        case "xception":
            from dualface.models.xception import Xception

            return FrameDetector(Xception(imagenet=weights == "imagenet"), HALF)
        case "capsule":
            from dualface.models.capsule import Capsule

            return FrameDetector(Capsule(imagenet=weights == "imagenet"), IMAGENET)
        case "dsp_fwa":
            from dualface.models.dsp_fwa import DspFwa

            return FrameDetector(DspFwa(weights), CAFFE)
        case "bbn":
            from dualface.models.bbn import Bbn

            return MixingDetector(Bbn(weights), IMAGENET)
        case _ if spec.method in METHODS:
            from dualface.models.dual import DualNet

            return DualNet(spec.backbone, temporal=spec.temporal, levels=spec.levels, weights=weights, init=init)
        case _:
            raise ValueError(spec.method)
