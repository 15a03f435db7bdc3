"""Train the detector on the training videos; keep the epoch that ranks the validation videos best."""

import csv
import sys
from pathlib import Path

from tqdm import tqdm

from dualface import checkpoint, device, entry, params, split, tables
from dualface import train as training
from dualface.card import Card
from dualface.shards.read import Shards
from dualface.version import VERSION


def main() -> None:
    """Read split and shards; write the model's folder and the history of its training."""
    args = entry.paths(
        __doc__,
        split="which video is used for what",
        shards="folder of shards",
        model="out: folder of weights and card",
        history="out: CSV, a row per epoch",
    )
    settings = params.load(args.params)
    choices, shards, machine = split.read(args.split), Shards(args.shards), device.pick()
    sys.stderr.write(f"training on {machine}\n")
    with tqdm(total=settings.train.epochs, unit="epoch", desc="train") as bar:

        def show(row: dict[str, float]) -> None:
            bar.set_postfix_str(
                f"loss {row['loss']:.3f}, val AUC video {row['val_video_auc']:.3f}, frame {row['val_frame_auc']:.3f}",
                refresh=False,
            )
            bar.update()

        fit = training.fit(
            shards,
            split.of(choices, "train"),
            split.of(choices, "val"),
            loss=settings.loss,
            train=settings.train,
            device=machine,
            progress=show,
            loaders=entry.workers() if machine.torch.type == "cuda" else 0,
        )
    used = [choice.key for choice in choices if choice.split != "test"]
    card = Card(
        params=settings.model_dump(),
        data=shards.fingerprint(used),
        code=VERSION,
        epoch=fit.epoch,
        thresholds=fit.thresholds,
        validation=fit.validation,
        model=settings.train.model_dump(include={"backbone", "frames", "stride"}),
        weights_sha256="",
    )
    checkpoint.save(args.model, fit.state, card)
    write_history(args.history, fit.history)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write the history as CSV, six significant digits."""
    with tables.replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)


if __name__ == "__main__":
    entry.run(main)
