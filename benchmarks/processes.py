"""What the benchmarks of extraction do with processes: start the stage, look at its workers. For Linux: reads /proc."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

import videos
from dualface import manifest
from dualface.manifest import Video


def lay_out(house: Path, rows: list[Video], **changes: Any) -> None:
    """Write what the stage reads: a manifest, and params.yaml with changes to the section `faces`."""
    manifest.write(house / "manifest.parquet", rows)
    params = yaml.safe_load((videos.ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["faces"] |= changes
    (house / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def start(house: Path, name: str, *, data: Path, workers: int) -> "subprocess.Popen[str]":
    """Start the stage `faces`, as DVC does; outs and work folder are under `name`."""
    outs = [f"--{out}={name}/{out}" for out in ("shards", "ledger", "counts")]
    command = [sys.executable, str(videos.ROOT / "stages" / "faces.py"), "--manifest=manifest.parquet", *outs]
    machine = {"DUALFACE_DATA": str(data), "DUALFACE_WORK": f"{name}/work", "DUALFACE_WORKERS": str(workers)}
    environment = {**os.environ, **machine}
    return subprocess.Popen(
        command, cwd=house, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that are not gone."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        words = _read(status).rpartition(")")[2].split()
        if words and words[0] != "Z" and int(words[1]) == pid:
            found.append(int(status.parent.name))
    return sorted(found)


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process held so far; 0 where it is gone."""
    lines = _read(Path("/proc", str(pid), "status")).splitlines()
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def open_under(pid: int, folder: Path) -> set[Path]:
    """Return the files under a folder that a process has open."""
    found = set()
    for link in Path("/proc", str(pid), "fd").glob("*"):
        try:
            target = link.readlink()
        except OSError:
            continue  # closed, or the process is gone
        if target.is_relative_to(folder.resolve()):
            found.add(target)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it is gone
