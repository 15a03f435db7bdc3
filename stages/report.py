"""Say how good the scores are: metrics, plots and one page."""

import numpy as np

from dualface import card, entry, history, ledger, manifest, params, scores, split, tables
from dualface.report import charts, content, examples, page, points
from dualface.shards.read import Shards


def main() -> None:
    """Read what was scored, on what and by what; write metrics.json, the plots and report.html."""
    args = entry.paths(
        __doc__,
        scores="P(fake) of videos and frames",
        split="which video is used for what",
        manifest="rows of all videos",
        ledger="what face extraction made of them",
        shards="folder of shards",
        card="the model's card",
        history="metrics of each epoch",
        metrics="figures to write",
        plots="folder of plots to write",
        page="page to write",
    )
    settings = params.load(args.params)
    name = settings.score.split
    official = {"val": settings.subset.val, "test": settings.subset.test}[name].take_from
    model, listed, attempts = card.read(args.card), manifest.read(args.manifest), ledger.read(args.ledger)
    choices, videos = split.read(args.split), scores.read(args.scores)
    chosen = split.of(choices, name)
    content.check_scored(videos, chosen, name=name)
    rng, resamples = np.random.default_rng(settings.report.seed), settings.report.resamples
    figures, curves = content.measure(videos, thresholds=model.thresholds, resamples=resamples, rng=rng)
    figures["counts"] |= content.provenance(chosen, choices, listed)
    scored = {video.key for video in videos}
    figures["coverage"] = content.coverage(listed, attempts, chosen=chosen, scored=scored, official=official)
    epochs = history.read(args.history)
    drawn = charts.draw(content.samples(videos, model.thresholds), curves, figures, card=model, history=epochs)
    shown = examples.select(videos, Shards(args.shards), threshold=model.thresholds["video"])
    facts = page.Facts(name, official, figures, listed, attempts, choices, model, settings.model_dump())
    entry.write_json(args.metrics, figures)
    with tables.replacing(args.plots) as folder:
        folder.mkdir()
        for file, raw in {**points.tables(curves, figures), **charts.pngs(drawn)}.items():
            (folder / file).write_bytes(raw)
    with tables.replacing(args.page) as partial:
        partial.write_text(page.render(facts, charts=charts.svgs(drawn), examples=shown), encoding="utf-8")


if __name__ == "__main__":
    entry.run(main)
