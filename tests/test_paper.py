"""The paper's printed figures, as data."""

import csv

from conftest import ROOT

SYSTEMS = {"Two-branch", "Face X-ray", "High-frequency"}  # of which the paper only copies figures


def test_the_printed_figures_are_percent_of_known_levels_and_each_stands_once():
    with (ROOT / "paper" / "reported.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == 496
    assert {row["table"] for row in rows} == {str(number) for number in range(2, 12)}
    assert {row["level"] for row in rows} == {"video", "frame"}
    assert all(0 <= float(row["percent"]) <= 100 for row in rows)
    cells = [(row["table"], row["dataset"], row["method"], row["level"], row["metric"]) for row in rows]
    assert len(set(cells)) == len(cells)
    assert {row["method"] for row in rows} >= SYSTEMS
