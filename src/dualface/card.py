"""The card: what a model is, as a JSON file beside its weights; with it alone the model can be rebuilt."""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dualface import methods, tables
from dualface.errors import CheckpointError, ParamsError, shown
from dualface.methods import FAMILY, Backbone, Level, Spec, Temporal
from dualface.params import Side
from dualface.schema import Length, Name, Overlap, Section, parse

DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_BYTES = 2**20  # a card is a few kB; a file that claims to be one and is larger is not read


class Model(Section):
    """What determines the network, and the windows in which a video is scored: both with the ranges of params.yaml."""

    method: Name
    backbone: Literal[Backbone, "none"]
    temporal: Temporal
    levels: list[Level]
    input_size: Side
    frames: Length
    stride: Length
    overlap: Overlap


@dataclass(frozen=True)
class Card:
    """The facts about one trained model.

    Attributes:
        params: the sections of params.yaml that shaped the training, as they were.
        data_sha256: fingerprint of the training and validation data: which videos, used for what, with what content.
        version: of the dualface that trained it.
        epoch: the epoch whose weights were kept, counted from 1.
        thresholds: by level that figures are given for (`dualface.methods.figure_levels`), the P(fake) in [0, 1]
            from which on something is called FAKE; chosen on validation data.
        validation: the metrics of that epoch on validation data.
        model: what is needed to rebuild and use the network, the fields of `Model`.
        weights_sha256: digest of the weights file that belongs to this card.
    """

    params: dict[str, Any]
    data_sha256: str
    version: str
    epoch: int
    thresholds: dict[str, float]
    validation: dict[str, Any]
    model: dict[str, Any]
    weights_sha256: str

    @property
    def spec(self) -> Spec:
        """What determines the network."""
        facts = {field.name: self.model[field.name] for field in fields(Spec)}
        return Spec(**facts | {"levels": tuple(facts["levels"])})

    @property
    def window(self) -> dict[str, Any]:
        """The windows in which a video is scored."""
        return {name: self.model[name] for name in ("frames", "stride", "overlap")}


def write(path: Path, card: Card) -> None:
    """Write the card as JSON; dicts keep their order, so equal cards built alike give equal bytes.

    Raises:
        CheckpointError: the card breaks its contract, or holds what JSON can't (NaN, an array).
    """
    _check(asdict(card), where=str(path))
    try:
        text = json.dumps(asdict(card), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card holds what JSON can't ({error}); give it plain numbers") from None
    with tables.replacing(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Card:
    """Read a card.

    Raises:
        CheckpointError: it is missing, no JSON, or a field is missing, unknown or not what it should be.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise CheckpointError(f"{path}: larger than {MAX_BYTES} bytes, so no card; run `dvc repro train`")
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
        json.dumps(content, ensure_ascii=False).encode("utf-8")  # half a letter (a lone surrogate) could not be shown
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"{path}: no such card; `dvc repro train` writes it beside the weights") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error}); run `dvc repro train`") from None
    _check(content, where=str(path))
    return Card(**content)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a valid JSON number")


def _check(content: Any, *, where: str) -> None:
    if problem := _problem(content):
        raise CheckpointError(f"{where}: not a card of dualface: {problem}; run `dvc repro train`")


def _problem(content: Any) -> str | None:  # noqa: PLR0911  (one return per rule)
    names = [field.name for field in fields(Card)]
    if not isinstance(content, dict):
        return "it holds no fields"
    if wrong := sorted(content.keys() ^ set(names)):
        return f"field {shown(repr(wrong[0]))} is {'unknown' if wrong[0] in content else 'missing'}"
    for name in ("params", "thresholds", "validation", "model"):
        if not isinstance(content[name], dict):
            return f"{name} must be a mapping, is {shown(repr(content[name]))}"
    for name in ("data_sha256", "weights_sha256"):
        if not isinstance(content[name], str) or not DIGEST.fullmatch(content[name]):
            return f"{name} must be 64 hex digits (sha256), is {shown(repr(content[name]))}"
    if not isinstance(content["version"], str) or not content["version"]:
        return f"version must be a text, is {shown(repr(content['version']))}"
    if problem := _model_problem(content["model"]):
        return problem
    if not _is_number(content["epoch"], int) or not 1 <= content["epoch"] < 2**31:
        return f"epoch must be a whole number from 1, is {shown(repr(content['epoch']))}"
    return _threshold_problem(content["thresholds"], methods.figure_levels(tuple(content["model"]["levels"])))


def _model_problem(model: dict[str, Any]) -> str | None:
    try:
        known = parse(model, Model, where="model")
    except ParamsError as error:
        return str(error)
    if known.method not in methods.METHODS:
        return f"model.method must be one of {', '.join(methods.METHODS)}, is {shown(repr(known.method))}"
    given = Spec(known.method, known.backbone, known.temporal, tuple(known.levels), known.input_size)
    both = "both" if len(known.levels) > 1 else "".join(known.levels)
    settled = methods.spec(
        known.method, backbone=known.backbone, temporal=known.temporal, levels=both, input_size=known.input_size
    )
    bare = known.method in FAMILY and known.backbone == "none"
    if bare or not known.levels or given != settled or not methods.METHODS[known.method].takes(known.input_size):
        return f"model does not go together: {shown(model, length=200)}"
    return None


def _threshold_problem(thresholds: dict[str, Any], levels: tuple[str, ...]) -> str | None:
    if set(thresholds) != set(levels):
        return f"thresholds must have {' and '.join(levels)}, has {shown(', '.join(thresholds)) or 'none'}"
    for level in levels:
        if not _is_number(thresholds[level], int | float) or not 0 <= thresholds[level] <= 1:
            return f"thresholds.{level} must be a number in [0, 1], is {shown(repr(thresholds[level]))}"
    return None


def _is_number(value: Any, kind: Any) -> bool:
    wanted = int | float if kind is float else kind
    return isinstance(value, wanted) and not isinstance(value, bool)  # JSON's true is an int to Python
