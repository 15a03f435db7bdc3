"""What several test files need."""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from dualface.faces import supervisor
from dualface.shards import write
from dualface.shards.sample import FaceTrack, encode

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
# A worker process whose behaviour the name of the video decides.
FAKE_WORKER = """
import json, os, pathlib, signal, sys, time
print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    key, into = request["video"]["key"], pathlib.Path(request["into"])
    (into.parent / "asked").open("a").write(key + " ")
    kind, _, _ = key.partition("_")
    if kind == "segfault" or (kind == "once" and not into.with_suffix(".died").exists()):
        into.write_bytes(b"half")
        into.with_suffix(".died").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "leaves":
        sys.exit(3)
    if kind == "hangs":
        into.with_suffix(".pid").write_text(str(os.getpid()))
        time.sleep(300)
    if kind == "rubbish":
        print({"a": "no json", "b": "[1]", "c": "[" * 9999, "d": '{"row": {"key": "x"}}'}[key[-1]], flush=True)
        continue
    if kind == "flood":
        print("x" * 300_000, flush=True)
        continue
    if kind == "impostor":
        print(json.dumps({"row": {"key": "a", "outcome": "ok", "reason": "", "faces": 2}}), flush=True)
        continue
    if kind == "realtime":
        os.kill(os.getpid(), 40)
    if kind == "silent":
        os.close(1)
        time.sleep(300)
    if kind == "stops":
        print(json.dumps({"stop": "the disk is full"}), flush=True)
        continue
    into.write_bytes(b"whole")
    print(json.dumps({"row": {"key": key, "outcome": "ok", "reason": "", "frames": 3, "faces": 2}}), flush=True)
"""

# The same examples on every machine, however slow: a change fails for what it changed, not by a draw.
# `pytest --hypothesis-profile=explore` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Two threads on a busy machine can take many times as long as one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and golden data beside the repository, where there is one."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared folder (golden data, real clips) beside the repository")
    return SHARED


def make_track(key: str, *, count: int = 10, side: int = 16, fake: bool = False, seed: int = 0) -> FaceTrack:
    """Make a track of random faces; a fake's are brighter."""
    rng = np.random.default_rng(seed)
    return FaceTrack(
        key=key,
        faces=rng.integers(100 if fake else 0, 256 if fake else 156, (count, side, side, 3), dtype=np.uint8),
        index=np.arange(0, 2 * count, 2, dtype=np.int32),
        boxes=rng.integers(0, 200, (count, 4), dtype=np.int32),
        labels=np.full(count, fake, dtype=np.uint8),
        meta={"width": 320, "height": 240},
    )


def write_tracks(folder: Path, tracks: Iterable[FaceTrack], *, shard_bytes: int) -> None:
    """Write tracks as shards."""
    write.write(folder, ((track.key, encode(track)) for track in tracks), shard_bytes=shard_bytes)


@pytest.fixture
def fake_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the worker process: no faces, but every way to die."""
    script = tmp_path / "fake_worker.py"
    script.write_text(FAKE_WORKER)
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, str(script)))
    return script
