"""Files of parameters as frozen, strict models: types without conversion, ranges, and what a mistake is told as."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from dualface.errors import ParamsError, shown


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
MISTAKES = 8  # that are told at once
INFINITY = float("inf")
Name = Annotated[str, Field(min_length=1)]
File = TypeVar("File", bound=BaseModel)
Share = Annotated[float, within(0, 1)]
Count = Annotated[int, within(0, 2**31 - 1)]
Positive = Annotated[int, within(1, 2**31 - 1)]
Length = Annotated[int, within(1, 100_000)]  # of something that must fit into memory
Overlap = Annotated[float, within(0, 0.9)]  # of windows; 1 would be the same one for ever


class Section(BaseModel):
    """A section of a file of parameters: frozen, no unknown keys, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def parse(content: Any, model: type[File], *, where: str) -> File:
    """Check what a file of parameters holds; `where` names it in messages. Raises ParamsError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors()
        more = f"; and {len(found) - MISTAKES} more" if len(found) > MISTAKES else ""
        told = "; ".join(f"{where}: {_message(dict(one))}" for one in found[:MISTAKES])
        raise ParamsError(f"{told}{more}") from None


def _message(error: dict[str, Any]) -> str:
    place = shown(".".join(str(part) for part in error["loc"])) or "the file"
    got = str(error["input"]) if isinstance(error["input"], bool | int | float) else repr(error["input"])
    got = got if len(got) <= LETTERS else f"{got[:LETTERS]}..."
    match error["type"]:
        case "extra_forbidden":
            return f"{place}: unknown"
        case "missing":
            return f"{place}: missing"
        case "conflict":
            return f"{place}: {error['msg']}" if error["loc"] else str(error["msg"])
        case "model_type":
            return f"{place}: expected a section with keys, got {got}"
        case "literal_error":
            return f"{place}: expected one of {error['ctx']['expected']}, got {got}"
        case _:
            return f"{place}: {error['msg'].replace('Input should be', 'expected')}, got {got}"
