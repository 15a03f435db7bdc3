"""Time of `dvc repro` from nothing, stage by stage, and of a second one that has nothing to do.

    python benchmarks/pipeline.py

Runs on a clone of the committed state, in a temporary folder, with the environment that is active. Goals on two
cores: 5 minutes from nothing, 3 s for nothing to do.
"""

import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stages(folder: Path) -> list[tuple[str, float]]:
    """Run `dvc repro`; return the wall seconds of each stage by name, and of what came before the first."""
    marks = [("start", time.perf_counter())]
    command = ["dvc", "repro"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("Running stage '"):
                marks.append((line.split("'")[1], time.perf_counter()))
    if process.returncode:
        raise SystemExit(f"dvc repro failed with status {process.returncode}")
    marks.append(("end", time.perf_counter()))
    return [(name, after - at) for (name, at), (_, after) in zip(marks, marks[1:], strict=False)]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dualface"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        seconds = stages(folder)
        for name, took in seconds:
            print(f"{name:30} {took:7.1f} s")
        print(f"{'from nothing':30} {sum(took for _, took in seconds):7.1f} s   goal 300")
        again = stages(folder)
        print(f"{'nothing to do':30} {sum(took for _, took in again):7.1f} s   goal 3")


if __name__ == "__main__":
    main()
