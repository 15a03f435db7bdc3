"""What the README claims in figures and commands is what is in the repository."""

import json
import re

from conftest import ROOT
from dualface.report.table import table

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_committed_metrics():
    metrics = json.loads((ROOT / "results" / "metrics.json").read_text(encoding="utf-8"))
    assert table(metrics).split("\n\n")[0] in README


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []


def test_the_two_commands_are_the_first_ones_shown():
    assert re.findall(r"```sh\n(.*?)```", README, re.S)[0].split("#")[0].split() == ["make", "repro"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"repro", "test"} <= set(targets)
