"""What several test files need."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from dualface.shards.sample import FaceTrack

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# The same examples on every machine, however slow: a change fails for what it changed, not by a draw.
# `pytest --hypothesis-profile=explore` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Two threads on a busy machine can take many times as long as one."""
    torch.set_num_threads(1)


@pytest.fixture
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
