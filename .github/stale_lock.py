"""Fail where dvc.lock was not made by the code and parameters beside it; missing data are no fault here."""

import json
import subprocess
import sys

ABSENT = {"deleted", "not in cache"}  # data and outputs that this checkout simply does not hold


def stale(status: dict[str, list]) -> list[str]:
    """Name the stages whose code, parameters or figures changed since dvc.lock, from `dvc status --json`."""
    names = []
    for stage, changes in status.items():
        parts = [part for change in changes if isinstance(change, dict) for part in change.values()]
        states = [state for part in parts for state in (part.values() if isinstance(part, dict) else [part])]
        flat = [one for state in states for one in (state.values() if isinstance(state, dict) else [state])]
        outs = [
            item for change in changes if isinstance(change, dict) for item in change.get("changed outs", {}).items()
        ]
        lost = any(path.startswith("results/") and state == "deleted" for path, state in outs)  # git keeps these
        if lost or set(flat) - ABSENT or "changed command" in changes:
            names.append(stage)
    return sorted(names)


if __name__ == "__main__":
    output = subprocess.run(["dvc", "status", "--json"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    if names := stale(json.loads(output)):
        sys.exit(f"dvc.lock is older than {', '.join(names)}: run `dvc repro` and commit dvc.lock and results/")
