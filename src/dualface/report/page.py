"""The page: one HTML file that needs nothing else and says the same for the same input.

Names and reasons come from listings and files that others made, so the template escapes everything. What it
takes as markup is the style sheet, and the charts, whose text matplotlib has escaped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dualface import ledger
from dualface.card import Card
from dualface.label import FAKE, REAL
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.report import words
from dualface.report.examples import Example
from dualface.split import SPLITS, Choice

ROWS = 50  # of the ledger, at most
LETTERS = 300  # of a reason or a parameter, at most


@dataclass(frozen=True)
class Facts:
    """What the page tells.

    Attributes:
        split: name of the split that was scored.
        official: the official split that it takes its videos from.
        figures: the content of metrics.json.
        listed: the manifest.
        attempts: the ledger.
        choices: the whole split.
        card: the model's card.
        params: params.yaml, section by section.
    """

    split: str
    official: str
    figures: dict[str, Any]
    listed: list[Video]
    attempts: list[Attempt]
    choices: list[Choice]
    card: Card
    params: dict[str, Any]


def render(facts: Facts, *, charts: dict[str, str], examples: list[Example]) -> str:
    """Make the page.

    Args:
        facts: what it tells.
        charts: SVG elements by name: `roc`, `pr`, `scores`, and `history` where there is one.
        examples: videos with their faces.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: f"{value:.3f}"
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["short"] = _short
    lost = [attempt for attempt in facts.attempts if attempt.outcome != "ok"]
    outcomes = ledger.counts(facts.attempts)
    style, template = (environment.get_template(name) for name in ("page.css.j2", "report.html.j2"))
    return template.render(
        style=Markup(style.render()),  # noqa: S704  (holds no input)
        split=facts.split,
        listing=facts.params["ingest"]["listing"],
        official=facts.official,
        figures=facts.figures,
        charts={name: Markup(chart) for name, chart in charts.items()},  # noqa: S704  (our own drawing)
        examples=examples,
        videos={video.key: video for video in facts.listed},
        levels=words.levels(facts.figures),
        caveats=words.caveats(facts.figures),
        outcomes={outcome: outcomes[outcome] for outcome in ledger.OUTCOMES},
        attempted=outcomes,
        lost=lost[:ROWS],
        more=max(0, len(lost) - ROWS),
        splits=split_counts(facts.choices),
        card=facts.card,
        validation=list(flat(facts.card.validation)),
        params={name: list(flat(section)) for name, section in facts.params.items()},
    )


def split_counts(choices: list[Choice]) -> dict[str, tuple[int, int]]:
    """Count real and fake videos by split."""
    return {
        name: (
            sum(choice.split == name and choice.label == REAL for choice in choices),
            sum(choice.split == name and choice.label == FAKE for choice in choices),
        )
        for name in SPLITS
    }


def flat(section: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested parameters as dotted names and their values in words."""
    if isinstance(section, dict):
        for key, value in section.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, _value(section)


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
