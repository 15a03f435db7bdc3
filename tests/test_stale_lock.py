import importlib.util

import pytest

from conftest import ROOT

SPEC = importlib.util.spec_from_file_location("stale_lock", ROOT / ".github" / "stale_lock.py")
stale_lock = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stale_lock)


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ([{"changed deps": {"data/faces": "deleted"}}, {"changed outs": {"data/model": "not in cache"}}], False),
        ([{"changed deps": {"src/dualface/losses.py": "modified"}}], True),
        ([{"changed deps": {"params.yaml": {"loss.gamma": "modified"}}}], True),
        ([{"changed deps": {"params.yaml": {"loss": "new"}}}], True),
        (["changed command"], True),
        (["always changed"], False),
        ([{"changed outs": {"results/metrics.json": "modified"}}], True),
        ([{"changed outs": {"results/metrics.json": "deleted"}}], True),
        ([{"changed outs": {"results/report.html": "not in cache"}}], False),
    ],
)
def test_only_code_parameters_and_figures_make_a_lock_stale(changes, stale):
    assert stale_lock.stale({"train": changes}) == (["train"] if stale else [])
