"""Train the detector on the training videos; keep the epoch that ranks the validation videos best."""

import sys

from dualface import checkpoint, device, entry, history, params, split
from dualface import label as labels
from dualface import train as training
from dualface.card import Card
from dualface.progress import bar
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
    choices, shards, machine = split.read(args.split), Shards(args.shards), device.pick(threads=entry.workers())
    sys.stderr.write(f"training on {machine}\n")
    with bar("train", unit="epoch", total=settings.train.epochs) as shown:

        def show(row: dict[str, float]) -> None:
            shown.set_postfix_str(
                f"loss {row['loss']:.3f}, val AUC video {row['val_video_auc']:.3f}, frame {row['val_frame_auc']:.3f}",
                refresh=False,
            )
            shown.update()

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
    seen = {one.key: f"{one.split} {labels.NAMES[one.label]}" for one in choices if one.split != "test"}
    card = Card(
        params=settings.model_dump(include={"loss", "train"}),
        data_sha256=shards.fingerprint(seen),
        version=VERSION,
        epoch=fit.epoch,
        thresholds=fit.thresholds,
        validation=fit.validation,
        model={
            "backbone": settings.train.backbone,
            "frames": settings.train.frames,
            "stride": settings.train.stride,
            "input_size": fit.input_size,
        },
        weights_sha256="",
    )
    checkpoint.save(args.model, fit.state, card)
    history.write(args.history, fit.history)


if __name__ == "__main__":
    entry.run(main)
