"""Fail where dvc.lock was not made by the code and parameters beside it; missing data are no fault here."""

import json
import subprocess
import sys


def stale(status: dict[str, list]) -> list[str]:
    """Name the stages whose code or parameters changed since dvc.lock, from `dvc status --json`.

    Data and outputs that are `deleted` are simply not in this checkout; a `modified` one is a change.
    """
    names = []
    for stage, changes in status.items():
        parts = [part for change in changes if isinstance(change, dict) for part in change.values()]
        states = [state for part in parts for state in (part.values() if isinstance(part, dict) else [part])]
        flat = [one for state in states for one in (state.values() if isinstance(state, dict) else [state])]
        if any(one != "deleted" for one in flat) or "changed command" in changes:
            names.append(stage)
    return sorted(names)


if __name__ == "__main__":
    output = subprocess.run(["dvc", "status", "--json"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    if names := stale(json.loads(output)):
        sys.exit(f"dvc.lock is older than {', '.join(names)}: run `dvc repro` and commit dvc.lock and results/")
