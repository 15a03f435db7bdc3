"""Fabricated rows and files of videos, parameters to change, and runs of a stage."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from dualface.label import FAKE, REAL
from dualface.ledger import Attempt
from dualface.manifest import Video

ROOT = Path(__file__).resolve().parents[1]


def make_video(key: str, *people: str, fake: bool = False, split: str | None = None, path: str | None = None) -> Video:
    """Make a row; without people, the video shows one of its own."""
    label = FAKE if fake else REAL
    return Video(key, "folder", path or f"{key}.mp4", 3, label, people or (key,), split=split)


def made_ok(videos: list[Video]) -> list[Attempt]:
    """Make the ledger of an extraction that lost nothing."""
    return [Attempt(video.key, "ok", "", 10, 10) for video in videos]


def touch(root: Path, *paths: str, content: bytes = b"abc") -> None:
    """Make files of three bytes, and the folders above them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def plain_params() -> dict[str, Any]:
    """Take the repository's params.yaml, with a subset that uses all official splits as they are."""
    everything = {"real": None, "fake": None}
    return {
        **yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")),
        "subset": {
            "seed": 0,
            "ratio": None,
            "train": everything.copy(),
            "val": {"take_from": "val", "share": None, **everything},
            "test": {"take_from": "test", "share": None, **everything},
            "on_overlap": "refuse",
            "damaged": False,
        },
    }


def run_stage(name: str, *arguments: str, cwd: Path, params: dict[str, Any], data: str = "") -> tuple[int, str]:
    """Run a stage as DVC does; return exit status and what it said on stderr."""
    (cwd / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    command = [sys.executable, str(ROOT / "stages" / f"{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DUALFACE_DATA": data}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def files_below(folder: Path, suffix: str) -> list[Path]:
    """List files by the end of their names, while others make and remove folders (Path.rglob fails at those)."""
    return [Path(at) / name for at, _, names in os.walk(folder) for name in names if name.endswith(suffix)]
