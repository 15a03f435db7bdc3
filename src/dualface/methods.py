"""The methods: which there are, what each looks at, and what its authors did. Facts only; networks are elsewhere."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["video", "frame"]
Backbone = Literal["cnn4", "resnet18", "resnet34", "resnet50", "resnet101"]
Temporal = Literal["gru", "lstm", "none"]
LossKind = Literal["joint", "bce", "focal", "squared_error", "component_bce", "cumulative"]

FAMILY = ("dual", "cnn_gru", "cnn_lstm")  # one network and its corners


@dataclass(frozen=True)
class Method:
    """What is known of a method before its network is made.

    Attributes:
        name: as `train.method` takes it.
        levels: that it gives scores for by itself; of the dual network `train.levels` may leave one out.
        input_size: side of a face in its paper, px.
        sizes: first and last side of each range that its network can take, px, and the step between them.
        own_loss: what its authors minimise.
        settings: its authors' other settings, as values of params.yaml.
        differs: what else its authors do and this project does not.
        licence: of its authors' code.
        reference: its paper.
        code: its authors' code, and the commit that this project was compared with.
    """

    name: str
    levels: tuple[Level, ...]
    input_size: int
    sizes: tuple[range, ...]
    own_loss: LossKind
    settings: dict[str, float | str]
    differs: str
    licence: str
    reference: str
    code: str

    def takes(self, input_size: int) -> bool:
        """Say whether faces of this side, px, can be judged."""
        return any(input_size in one for one in self.sizes)

    def sizes_told(self) -> str:
        """Name the sides that it can take, in words: `multiples of 32 px`, `161 to 224 or 353 to 480 px`."""
        if self.sizes[0].step > 1:
            return f"multiples of {self.sizes[0].step} px"
        return " or ".join(_told(one) for one in self.sizes) + " px"


@dataclass(frozen=True)
class Spec:
    """What determines a network: with it alone it can be made again.

    Attributes:
        method: its name.
        backbone: of the dual network and its corners; elsewhere `none`, the method has its own.
        temporal: what runs over the faces of a video: `gru`, `lstm` or `none`.
        levels: that it gives scores for.
        input_size: side of a face, px.
    """

    method: str
    backbone: str
    temporal: str
    levels: tuple[Level, ...]
    input_size: int

    @property
    def per_face(self) -> bool:
        """Whether each face is judged by itself, so that a batch is one of frames and not of videos."""
        return self.levels == ("frame",) and self.temporal == "none"


def spec(method: str, *, backbone: str, temporal: str, levels: str, input_size: int) -> Spec:
    """Settle what determines a network: `temporal` and `levels` are the dual network's to choose.

    Args:
        method: a key of `METHODS`.
        backbone: of the dual network and its corners.
        temporal: `gru`, `lstm` or `none`.
        levels: `both`, `video` or `frame`.
        input_size: side of a face, px.
    """
    match method:
        case "dual":
            chosen: tuple[Level, ...] = METHODS[method].levels
            if levels != "both":
                chosen = tuple(level for level in chosen if level == levels)
            return Spec(method, backbone, temporal, chosen, input_size)
        case "cnn_gru" | "cnn_lstm":
            return Spec(method, backbone, method.removeprefix("cnn_"), METHODS[method].levels, input_size)
        case _:
            return Spec(method, "none", "none", METHODS[method].levels, input_size)


def loss_kind(method: str, name: str) -> LossKind:
    """Return what is minimised for `loss.name`: with `own`, what the method's authors do."""
    match name:
        case "joint" | "bce" | "focal":
            return name
        case _:
            return METHODS[method].own_loss


def figure_levels(levels: tuple[Level, ...]) -> tuple[str, ...]:
    """Name the levels that figures are given for, the leading one first.

    A method without a score for videos gets two from its frames' scores, their mean (`video`) and their highest
    (`video_max`); they are marked as aggregated wherever they are shown.
    """
    return ("video", "video_max", "frame") if levels == ("frame",) else levels


def _told(sides: range) -> str:
    return f"{sides[0]} or more" if sides[-1] >= LARGEST else f"{sides[0]} to {sides[-1]}"


SMALLEST, LARGEST = 16, 1024  # px, of faces.input_size
ANY = (range(SMALLEST, LARGEST + 1),)

DUAL = "W. Pu et al., Learning a deep dual-level network for robust DeepFake detection, Pattern Recognition 130, 2022"
DUAL_CODE = "PWB97/Deepfake-detection@ce56e6c"
PAPERS_OWN: dict[str, float | str] = {
    "train.backbone": "resnet50",
    "train.weights": "imagenet",
    "train.frames": 300,
    "train.stride": 1,
    "train.batch_size": 16,
    "train.epochs": 20,
    "train.learning_rate": 1e-4,
    "train.schedule": "constant",
    "train.flip": "false",
}


def _per_face(frame_batch: int, learning_rate: float, epochs: int | None = None) -> dict[str, float | str]:
    """Return what an image classifier's authors set; few faces of a video at a time, and each of 300 once an epoch."""
    settings: dict[str, float | str] = {"train.frames": 4, "train.stride": 75, "train.frame_batch": frame_batch}
    settings |= {"train.learning_rate": learning_rate, "train.schedule": "constant", "train.flip": "false"}
    return settings if epochs is None else settings | {"train.epochs": epochs}


METHODS = {
    method.name: method
    for method in (
        Method(
            "dual",
            levels=("video", "frame"),
            input_size=64,
            sizes=ANY,
            own_loss="joint",
            settings=PAPERS_OWN | {"train.init": "paper"},
            differs="",
            licence="none stated; not for commercial use",
            reference=DUAL,
            code=DUAL_CODE,
        ),
        *(
            Method(
                name,
                levels=("video",),
                input_size=64,
                sizes=ANY,
                own_loss="bce",
                settings=PAPERS_OWN,
                differs="the original is InceptionV3 with one wide LSTM; this is the paper's version of it",
                licence="none stated; not for commercial use",
                reference="D. Güera and E. J. Delp, Deepfake video detection using recurrent neural networks, "
                "AVSS 2018",
                code=DUAL_CODE,
            )
            for name in ("cnn_gru", "cnn_lstm")
        ),
        *(
            Method(
                name,
                levels=("frame",),
                input_size=256,
                sizes=(range(32, LARGEST + 1, 32),),
                own_loss="squared_error",
                settings=_per_face(75, 1e-3),
                differs="they divide the learning rate by 10 each 1000 steps, and zoom, turn and tint the faces",
                licence="Apache-2.0",
                reference="D. Afchar et al., MesoNet: a compact facial video forgery detection network, WIFS 2018",
                code="DariusAf/MesoNet@2144d56",
            )
            for name in ("meso4", "mesoinception4")
        ),
        Method(
            "xception",
            levels=("frame",),
            input_size=299,
            sizes=ANY,
            own_loss="bce",
            settings=_per_face(32, 2e-4, 15) | {"train.weights": "imagenet"},
            differs="they train the last layer alone for 3 epochs first",
            licence="MIT",
            reference="A. Rössler et al., FaceForensics++: learning to detect manipulated facial images, ICCV 2019",
            code="ondyari/FaceForensics@b952e41",
        ),
        Method(
            "capsule",
            levels=("frame",),
            input_size=300,
            sizes=ANY,
            own_loss="component_bce",
            settings=_per_face(32, 5e-4, 25) | {"train.weights": "imagenet"},
            differs="",
            licence="BSD-3-Clause",
            reference="H. H. Nguyen et al., Use of a capsule network to detect fake images and "
            "videos, arXiv:1910.12467, 2019",
            code="nii-yamagishilab/Capsule-Forensics-v2@e12f405",
        ),
        Method(
            "dsp_fwa",
            levels=("frame",),
            input_size=224,
            # The pyramid is right where the map's side is 6-7, 12-14, 18-21, 24-28, or 30 and more.
            sizes=(range(161, 225), range(353, 449), range(545, 673), range(737, 897), range(929, LARGEST + 1)),
            own_loss="bce",
            settings=_per_face(64, 1e-3, 20) | {"train.weights": "imagenet"},
            differs="they train with SGD on real faces and their blurred copies; they crop the face ten times",
            licence="CC-BY-NC-SA-4.0",
            reference="Y. Li and S. Lyu, Exposing DeepFake videos by detecting face warping artifacts, CVPR Workshops "
            "2019",
            code="danmohaha/DSP-FWA@4daec00",
        ),
        Method(
            "bbn",
            levels=("frame",),
            input_size=224,
            sizes=ANY,
            own_loss="cumulative",
            settings=_per_face(128, 0.05, 180) | {"train.weights": "imagenet"},
            differs="they train with SGD, a warm-up and two drops of the learning rate",
            licence="MIT",
            reference="B. Zhou et al., BBN: bilateral-branch network with cumulative learning for long-tailed visual "
            "recognition, CVPR 2020",
            code="Megvii-Nanjing/BBN@7992e90",
        ),
    )
}
