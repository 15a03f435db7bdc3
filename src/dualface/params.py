"""params.yaml as one frozen, strict model. It holds no defaults: each value stands in the file, once.

A stage loads the whole file, so a mistake in any section is told before the first hour is spent. DVC follows
the values themselves, section by section, so no stage depends on this module.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dualface.errors import ParamsError


def within(low: float, high: float, *, above: bool = False) -> AfterValidator:
    """Make a check for `low <= x <= high`, or `low < x <= high` with `above`."""
    sign = "<" if above else "<="
    upper = "" if high == float("inf") else f" <= {high:g}"
    rule = f"{low:g} {sign} x{upper}"

    def check(value: float) -> float:
        if not (low < value if above else low <= value) or not value <= high:
            raise PydanticCustomError("range", "expected {rule}", {"rule": rule})
        return value

    return AfterValidator(check)


INFINITY = float("inf")
File = TypeVar("File", bound=BaseModel)
Share = Annotated[float, within(0, 1)]
Count = Annotated[int, within(0, INFINITY)]
Positive = Annotated[int, within(1, INFINITY)]


class Section(BaseModel):
    """A section of params.yaml: frozen, no unknown keys, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class IngestParams(Section):
    """What is read: the listing of the videos, made by `dualface scan`."""

    listing: Annotated[str, Field(min_length=1)]


class FacesParams(Section):
    """How faces are cut out of the videos."""

    input_size: Annotated[int, within(16, 1024)]
    max_frames: Positive
    min_faces: Positive
    crop_scale: Annotated[float, within(1, 3)]
    upsample: Annotated[int, within(0, 3)]
    shard_megabytes: Positive


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
    """The joint loss, Eqs. 2-5."""

    gamma: Share
    p: Annotated[float, within(1, INFINITY, above=True)]
    alpha: Share
    beta: Share


class TrainParams(Section):
    """The model and how it is trained."""

    seed: Count
    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"]
    weights: Annotated[str, Field(min_length=1)]
    frames: Positive
    stride: Positive
    epochs: Positive
    batch_size: Positive
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


class DemoParams(Section):
    """The demo set, as `dualface.demo.DemoPlan` takes it."""

    seed: Count
    identities: Positive
    test_identities: Count
    videos_per_identity: Count
    fakes_per_video: Count
    youtube_real: Count
    frames: Positive
    width: Positive
    height: Positive
    crf: Annotated[int, within(0, 51)]
    strength: Annotated[list[Share], Field(min_length=2, max_length=2)]
    partial_share: Share


class DemoFile(Section):
    """data/demo/params.yaml."""

    demo: DemoParams


class _Loader(yaml.SafeLoader):
    """YAML as DVC reads and writes it: `1e-05` is a number, and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            names = [key.value for key, _ in node.value]
            twice = next(name for name in names if names.count(name) > 1)
            raise ParamsError(f"{twice}: appears twice (line {node.start_mark.line + 1} and on)")
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_demo(path: Path) -> DemoParams:
    """Read and check the demo's own params.yaml. Raises ParamsError."""
    return parse(_read(path), DemoFile, where=str(path)).demo


def load(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: it is missing, no YAML, or a value is unknown, missing, of another type or out of range; the
            message names the value by its path in the file: `loss.gamma: expected 0 <= x <= 1, got 1.5`.
    """
    return parse(_read(path), Params, where=str(path))


def _read(path: Path) -> Any:  # noqa: ANN401
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the repository's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None


def parse(content: Any, model: type[File], *, where: str) -> File:  # noqa: ANN401
    """Check what a file of parameters holds; `where` names it in messages. Raises ParamsError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ParamsError("; ".join(f"{where}: {_message(dict(one))}" for one in error.errors())) from None


def _message(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    got = error["input"]
    match error["type"]:
        case "extra_forbidden":
            return f"{place}: unknown"
        case "missing":
            return f"{place}: missing"
        case "conflict":
            return f"{place}: {error['msg']}"
        case "model_type":
            return f"{place}: expected a section with keys, got {got!r}"
        case "literal_error":
            return f"{place}: expected one of {error['ctx']['expected']}, got {got!r}"
        case _:
            return f"{place}: {error['msg'].replace('Input should be', 'expected')}, got {got!r}"
