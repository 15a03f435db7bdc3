"""params.yaml as one frozen, strict model. It holds no defaults: each value stands in the file, once.

A stage loads the whole file, so a mistake in any section is told before the first hour is spent. DVC follows
the values themselves, section by section, so no stage depends on this module.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dualface import methods, yaml12
from dualface.schema import INFINITY, Count, Length, Name, Overlap, Positive, Section, Share, parse, within

Side = Annotated[int, within(methods.SMALLEST, methods.LARGEST)]  # of a face, px


class IngestParams(Section):
    """What is read: the listing of the videos, made by `dualface scan`."""

    listing: Name


class FacesParams(Section):
    """How faces are cut out of the videos."""

    input_size: Side
    max_frames: Length
    min_faces: Length
    people: Annotated[int, within(1, 8)]
    crop_scale: Annotated[float, within(1, 3)]
    detector: Literal["hog", "cnn"]
    weights: Name
    upsample: Annotated[int, within(0, 3)]
    search_megapixels: Annotated[float, within(0, 1000, above=True)]
    stride: Annotated[int, within(1, 100)]
    smooth: Annotated[int, within(0, 100)]
    limit_megapixels: Annotated[float, within(0, 1000, above=True)]
    limit_frames: Positive
    limit_seconds: Annotated[float, within(0, 10**7, above=True)]
    shard_megabytes: Positive

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        text = None
        if self.min_faces > self.max_frames:
            text = f"min_faces: {self.min_faces} is more than max_frames keeps ({self.max_frames})"
        elif (self.detector == "cnn") == (self.weights == "none"):
            text = "weights: none with detector: hog, which has none to load; with cnn, the file of dlib's MMOD network"
        if text:
            raise PydanticCustomError("conflict", "{text}", {"text": text})
        return self


class Counts(Section):
    """How many videos of each class; null = all there are."""

    real: Count | None
    fake: Count | None


class HeldOut(Counts):
    """Where validation or test videos come from."""

    take_from: Literal["train", "val", "test"]
    share: Annotated[float, within(0, 0.9, above=True)] | None


class SubsetParams(Section):
    """Which videos are used for what."""

    seed: Count
    ratio: Annotated[float, within(0, INFINITY, above=True)] | None
    train: Counts
    val: HeldOut
    test: HeldOut
    on_overlap: Literal["refuse", "count"]
    damaged: bool

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ratio is not None and self.train.fake is not None:
            rule = "give ratio or train.fake, not both: each says how many fakes train has"
            raise PydanticCustomError("conflict", "{rule}", {"rule": rule})
        for name, held in (("val", self.val), ("test", self.test)):
            if held.take_from == "train" and held.share is None:
                rule = f"{name}.take_from: train needs a share, else {name} would be the training videos themselves"
                raise PydanticCustomError("conflict", "{rule}", {"rule": rule})
        return self


class LossParams(Section):
    """The loss: the method's own, the paper's joint one (Eqs. 2-5), or one of those that it is compared with."""

    name: Literal["own", "joint", "bce", "focal"]
    gamma: Share
    p: Annotated[float, within(1, INFINITY, above=True)]
    alpha: Share
    beta: Share
    focal_alpha: Share
    focal_exponent: Annotated[float, within(0, 100)]


class TrainParams(Section):
    """The model and how it is trained."""

    seed: Count
    method: Literal[
        "dual",
        "cnn_gru",
        "cnn_lstm",
        "meso4",
        "mesoinception4",
        "xception",
        "capsule",
        "dsp_fwa",
        "bbn",
    ]
    backbone: methods.Backbone
    temporal: methods.Temporal
    levels: Literal["both", "video", "frame"]
    weights: Name
    init: Name
    backbone_rate: Share
    fake_share: Annotated[float, within(0, 0.9)]
    self_blend: Annotated[float, within(0, 0.9)]
    frames: Length
    stride: Length
    overlap: Overlap
    epochs: Positive
    batch_size: Length
    frame_batch: Length
    micro_batch: Annotated[int, within(8, 10**7)] | None  # fewer: batch normalisation would divide by next to nothing
    order: Literal["random", "stream"]
    shuffle_videos: Length
    learning_rate: Annotated[float, within(0, 1, above=True)]
    schedule: Literal["constant", "one_cycle"]
    flip: bool

    def spec(self, input_size: int) -> methods.Spec:
        """Return what determines the network for faces of this side, px."""
        return methods.spec(
            self.method, backbone=self.backbone, temporal=self.temporal, levels=self.levels, input_size=input_size
        )

    @property
    def per_face(self) -> bool:
        """Whether each face is judged by itself."""
        return self.spec(methods.LARGEST).per_face

    @property
    def windows(self) -> int:
        """How many windows a batch has: one of each video, or so many that their faces are `frame_batch`."""
        return self.frame_batch // self.frames if self.per_face else self.batch_size

    @property
    def visits(self) -> int:
        """How many windows of each video an epoch takes: one, or all of a block where faces are judged by themselves.

        So those methods see each face of a video of one block once an epoch, as in the paper.
        """
        return self.stride if self.per_face else 1

    @property
    def scoring(self) -> dict[str, Any]:
        """The windows in which videos are scored; overlap is of use where a frame's score depends on others."""
        return {"frames": self.frames, "stride": self.stride, "overlap": 0.0 if self.per_face else self.overlap}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        own = methods.METHODS[self.method]
        text = None
        if self.weights != "none" and own.name in ("meso4", "mesoinception4"):
            text = f"weights: {own.name} has no backbone that others trained; train.init takes a file of all its layers"
        elif self.weights not in ("none", "imagenet") and own.name in ("xception", "capsule"):
            text = f"weights: none or imagenet with {own.name}; train.init takes a file of all its layers"
        elif self.init == "paper" and own.name not in methods.FAMILY:
            text = f"init: paper is how the dual network starts; {own.name} starts as its authors' does: set torch"
        elif self.backbone_rate != 1 and own.name not in methods.FAMILY:
            text = f"backbone_rate: 1 with {own.name}, which is trained as one"
        elif self.backbone_rate == 0 and self.weights == "none" and self.init in ("torch", "paper"):
            text = "backbone_rate: 0 trains no backbone, and none is given: set train.weights or train.init to a file"
        elif self.per_face and self.windows < 2:
            text = f"frame_batch: {self.frame_batch} has no room for {self.frames} faces (train.frames) of two videos"
        if text:
            raise PydanticCustomError("conflict", "{text}", {"text": text})
        return self


class ScoreParams(Section):
    """What is scored."""

    split: Literal["val", "test"]


class ReportParams(Section):
    """How uncertainty is told."""

    resamples: Annotated[int, within(100, 1_000_000)]
    seed: Count


class Params(Section):
    """The whole of params.yaml, a section per stage, and the loss."""

    ingest: IngestParams
    faces: FacesParams
    subset: SubsetParams
    loss: LossParams
    train: TrainParams
    score: ScoreParams
    report: ReportParams

    @model_validator(mode="after")
    def _method_can_be_trained(self) -> Self:
        method, side = methods.METHODS[self.train.method], self.faces.input_size
        kind = methods.loss_kind(method.name, self.loss.name)
        text = None
        if not method.takes(side):
            fitting = f"faces.input_size: {method.input_size}, as its authors"
            text = f"train.method: {method.name} takes faces of {method.sizes_told()}, not {side}; set {fitting}"
        elif fewest_fakes(self.loss, self.train) and self.train.windows < 2:
            text = "train.batch_size: 1 leaves no pairs for the AUC loss; give 2 or more, or loss.alpha: 1"
        elif self.train.frames * self.train.windows < 2:
            text = "train.frames: 1 with batch_size: 1 gives batch normalisation one face; give one of them 2 or more"
        elif kind == "cumulative" and (self.train.order == "stream" or self.train.micro_batch):
            text = "train: bbn's own loss needs order: random and micro_batch: null; set these, or loss.name: bce"
        if text:
            raise PydanticCustomError("conflict", "{text}", {"text": text})
        return self


def fewest_fakes(loss: LossParams, train: TrainParams) -> int:
    """Return how many fakes each batch must have: the share asked for, and one where each batch needs both classes.

    It does where fakes and reals are compared (Sec. 4.4.5), and where it is one of frames.
    """
    compared = methods.loss_kind(train.method, loss.name) == "joint" and loss.alpha < 1
    return max(int(compared or train.per_face), min(round(train.fake_share * train.windows), train.windows - 1))


def load(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: it is missing, no YAML, or a value is unknown, missing, of another type or out of range; the
            message names the value by its path in the file: `loss.gamma: expected 0 <= x <= 1, got 1.5`.
    """
    return parse(yaml12.read(path), Params, where=str(path))
