"""What the README claims in figures and commands is what is in the repository."""

import json
import re
import subprocess

from conftest import ROOT
from dualface.report.table import table

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_committed_metrics():
    # A reproduction with another number of threads has other figures; it does not make the README wrong.
    git = ["git", "-C", str(ROOT), "show", "HEAD:results/metrics.json"]
    committed = subprocess.run(git, capture_output=True, text=True, check=False)
    present = (ROOT / "results" / "metrics.json").read_text(encoding="utf-8")
    texts = [present, committed.stdout] if committed.returncode == 0 else [present]
    assert any(table(json.loads(text)).split("\n\n")[0] in README for text in texts)


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []


def test_the_two_commands_are_the_first_ones_shown():
    assert re.findall(r"```sh\n(.*?)```", README, re.S)[0].split("#")[0].split() == ["make", "repro"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"repro", "test"} <= set(targets)
