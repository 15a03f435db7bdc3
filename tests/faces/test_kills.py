"""The stage as DVC runs it, killed in the middle."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml

from conftest import ROOT
from dualface import manifest, scan
from dualface.demo import DemoPlan, render
from rows import files_below, plain_params

PLAN = DemoPlan(
    seed=3, identities=4, test_identities=2, videos_per_identity=1, fakes_per_video=1, youtube_real=2,
    frames=10, width=320, height=240, crf=23, strength=(0.35, 1.0), partial_share=0.5,
)  # fmt: skip


@pytest.fixture
def house(tmp_path):
    render(tmp_path / "data", PLAN, workers=1)
    videos = scan.scan("celebdf", tmp_path / "data").videos
    manifest.write(tmp_path / "manifest.parquet", videos)
    params = plain_params()
    params["faces"] |= {"max_frames": 10, "min_faces": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def start(house, name):
    outs = [f"--{out}={name}/{out}" for out in ("shards", "ledger", "counts")]
    command = [sys.executable, str(ROOT / "stages" / "faces.py"), "--manifest=manifest.parquet", *outs]
    environment = {**os.environ, "DUALFACE_DATA": str(house / "data"), "DUALFACE_WORK": f"{name}/work"}
    return subprocess.Popen(command, cwd=house, env=environment, stderr=subprocess.PIPE, text=True)


def products(house, name):
    parts = ("shards", "ledger", "counts")
    files = [path for part in parts for path in (house / name / part, *(house / name / part).glob("*"))]
    return {str(path.relative_to(house / name)): path.read_bytes() for path in files if path.is_file()}


def kill_soon(child, house, *, pieces, rng):
    """Kill the stage at some moment after so many videos are done."""
    while len(files_below(house, ".piece")) < pieces and child.poll() is None:
        time.sleep(0.005)
    time.sleep(rng.random() * 0.1)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL


def test_after_any_kills_every_byte_is_that_of_an_undisturbed_run(house):
    with start(house, "whole") as child:
        _, said = child.communicate()
        assert child.returncode == 0, said
    rng = random.Random(0)  # noqa: S311
    for pieces in (1, 4, 10):
        with start(house, "killed") as child:
            kill_soon(child, house / "killed", pieces=pieces, rng=rng)
    with start(house, "killed") as child:
        _, said = child.communicate()
        assert child.returncode == 0, said
    assert "videos were done by an earlier run" in said
    whole = products(house, "whole")
    assert "shards/00000.tar" in whole
    assert products(house, "killed") == whole
