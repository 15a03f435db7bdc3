"""Render the demo set."""

import sys
from pathlib import Path

import yaml
from tqdm import tqdm

from dualface import demo, entry, tables


def main() -> None:
    """Read the plan; write videos, test list and labels in Celeb-DF's layout."""
    args = entry.paths(__doc__, videos="out: folder of the data set")
    section = yaml.safe_load(Path(args.params).read_text(encoding="utf-8"))["demo"]
    plan = demo.DemoPlan(**{**section, "strength": tuple(section["strength"])})
    with tqdm(unit="video", desc="demo", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        with tables.replacing(args.videos) as partial:
            demo.render(partial, plan, workers=entry.workers(), progress=show)


if __name__ == "__main__":
    entry.run(main)
