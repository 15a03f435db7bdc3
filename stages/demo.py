"""Render the demo set."""

from dualface import demo, demoparams, entry, tables
from dualface.progress import bar


def main() -> None:
    """Read the plan; write videos, test list and labels in Celeb-DF's layout."""
    args = entry.paths(__doc__, videos="out: folder of the data set")
    settings = demoparams.load(args.params)
    low, high = settings.strength
    plan = demo.DemoPlan(**{**settings.model_dump(), "strength": (low, high)})
    with bar("demo", unit="video") as shown:

        def show(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        with tables.replacing(args.videos) as partial:
            demo.render(partial, plan, workers=entry.workers(), progress=show)


if __name__ == "__main__":
    entry.run(main)
