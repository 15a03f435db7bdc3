"""params.yaml as one frozen, strict model. It holds no defaults: each value stands in the file, once.

A stage loads the whole file, so a mistake in any section is told before the first hour is spent. DVC follows
the values themselves, section by section, so no stage depends on this module.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dualface import yaml12
from dualface.errors import ParamsError


def within(low: float, high: float, *, above: bool = False) -> AfterValidator:
    """Make a check for `low <= x <= high`, or `low < x <= high` with `above`."""
    sign = "<" if above else "<="

    def check(value: float) -> float:
        if not (low < value if above else low <= value) or not value <= high:
            # A bound that only keeps numbers within a machine's types is told to those who reach it.
            upper = f" <= {high:.10g}" if value > high or high < 2**31 - 1 else ""
            rule = f"{low:g} {sign} x{upper}"
            raise PydanticCustomError("range", "expected {rule}", {"rule": rule})
        return value

    return AfterValidator(check)


LETTERS = 80  # of a value in a message
INFINITY = float("inf")
Name = Annotated[str, Field(min_length=1)]
File = TypeVar("File", bound=BaseModel)
Share = Annotated[float, within(0, 1)]
Count = Annotated[int, within(0, 2**31 - 1)]
Positive = Annotated[int, within(1, 2**31 - 1)]
Length = Annotated[int, within(1, 100_000)]  # of something that must fit into memory


class Section(BaseModel):
    """A section of params.yaml: frozen, no unknown keys, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class IngestParams(Section):
    """What is read: the listing of the videos, made by `dualface scan`."""

    listing: Name


class FacesParams(Section):
    """How faces are cut out of the videos."""

    input_size: Annotated[int, within(16, 1024)]
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
    """The loss: joint (Eqs. 2-5), or one of those that it is compared with."""

    name: Literal["joint", "bce", "focal"]
    gamma: Share
    p: Annotated[float, within(1, INFINITY, above=True)]
    alpha: Share
    beta: Share
    focal_alpha: Share
    focal_exponent: Annotated[float, within(0, 100)]

    @property
    def pairs(self) -> bool:
        """Whether the loss compares fakes with reals, so that each batch needs both."""
        return self.name == "joint" and self.alpha < 1

    def fewest_fakes(self, *, share: float, batch_size: int) -> int:
        """Return how many fakes each batch must have: `share` of it, and one where fakes and reals are compared."""
        return max(int(self.pairs), min(round(share * batch_size), batch_size - 1))


class TrainParams(Section):
    """The model and how it is trained."""

    seed: Count
    backbone: Literal["cnn4", "resnet18", "resnet34", "resnet50", "resnet101"]
    weights: Name
    init: Literal["paper", "torch"]
    fake_share: Annotated[float, within(0, 0.9)]
    frames: Length
    stride: Length
    overlap: Annotated[float, within(0, 0.9)]
    epochs: Positive
    batch_size: Length
    micro_batch: Annotated[int, within(8, 10**7)] | None  # fewer: batch normalisation would divide by next to nothing
    order: Literal["random", "stream"]
    shuffle_videos: Length
    learning_rate: Annotated[float, within(0, 1, above=True)]
    schedule: Literal["constant", "one_cycle"]
    flip: bool


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
    def _there_are_pairs(self) -> Self:
        if self.loss.pairs and self.train.batch_size < 2:
            text = "train.batch_size: 1 leaves no pairs for the AUC loss; give 2 or more, or loss.alpha: 1"
            raise PydanticCustomError("conflict", "{text}", {"text": text})
        if self.train.frames * self.train.batch_size < 2:
            text = "train.frames: 1 with batch_size: 1 gives batch normalisation one face; give one of them 2 or more"
            raise PydanticCustomError("conflict", "{text}", {"text": text})
        return self


def load(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: it is missing, no YAML, or a value is unknown, missing, of another type or out of range; the
            message names the value by its path in the file: `loss.gamma: expected 0 <= x <= 1, got 1.5`.
    """
    return parse(yaml12.read(path), Params, where=str(path))


def parse(content: Any, model: type[File], *, where: str) -> File:
    """Check what a file of parameters holds; `where` names it in messages. Raises ParamsError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ParamsError("; ".join(f"{where}: {_message(dict(one))}" for one in error.errors())) from None


def _message(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    got = str(error["input"]) if isinstance(error["input"], bool | int | float) else repr(error["input"])
    got = got if len(got) <= LETTERS else f"{got[:LETTERS]}..."
    match error["type"]:
        case "extra_forbidden":
            return f"{place}: unknown"
        case "missing":
            return f"{place}: missing"
        case "conflict":
            return f"{place}: {error['msg']}"
        case "model_type":
            return f"{place}: expected a section with keys, got {got}"
        case "literal_error":
            return f"{place}: expected one of {error['ctx']['expected']}, got {got}"
        case _:
            return f"{place}: {error['msg'].replace('Input should be', 'expected')}, got {got}"
