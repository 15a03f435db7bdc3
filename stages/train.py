"""Train the detector on the training videos; keep the epoch that ranks the validation videos best."""

import os
import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dualface import checkpoint, device, entry, history, params, processes, split
from dualface import label as labels
from dualface.card import Card
from dualface.errors import CheckpointError
from dualface.feeds import Feed, RandomFeed
from dualface.models import weights
from dualface.params import Params, TrainParams
from dualface.processes import Processes
from dualface.progress import bar
from dualface.shards.read import Shards
from dualface.shards.stream import Store, survey
from dualface.stream import StreamFeed
from dualface.train import plan, snapshot
from dualface.train.fit import Fit, check, fit
from dualface.train.state import Place
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
    _check_files(args, settings.train)
    processes.launch(entry.processes())
    machine = device.pick(threads=max(1, entry.workers() // processes.local_world()), number=processes.local_rank())
    with processes.joined(gpu=machine.torch.type == "cuda") as group, entry.stop_asked() as stop:
        feed, fingerprint = _feed(args, settings, machine=machine, group=group)
        sections: dict[str, Any] = {"loss": settings.loss, "train": settings.train}
        opened = snapshot.opened(entry.work_folder(), **sections, data_sha256=fingerprint)
        with opened if group.first else nullcontext() as snapshots:
            steps = len(feed) * settings.train.epochs
            with bar("train", unit="step", total=steps, shown=group.first) as shown:

                def show(place: Place) -> None:
                    done = (place.epoch - 1) * len(feed) + place.batch
                    if done > shown.n + 1:
                        shown.write(f"going on after {done} of {steps} steps", file=sys.stderr)
                        shown.n = shown.initial = done  # or its rate would count them
                    shown.set_postfix_str(_told(place), refresh=False)
                    shown.update(done - shown.n)

                if group.first:
                    sys.stderr.write(f"training on {machine}{f', {group.world} processes' * (group.world > 1)}\n")
                settled: dict[str, Any] = {"input_size": settings.faces.input_size, "device": machine}
                result = fit(
                    feed, **settled, **sections, processes=group, snapshots=snapshots, stop=stop, progress=show
                )
            if group.first:
                _write(args, result, settings=settings, fingerprint=fingerprint)
        if group.first:
            for left in snapshot.left_alone(entry.work_folder()):
                sys.stderr.write(f"note: {left}, which did not end; delete it if you do not mean to go on with it\n")


def _check_files(args: Namespace, train: TrainParams) -> None:
    """Raise CheckpointError, before data are read, where weights to start from are none, or are what is replaced."""
    for name, given, words in (
        ("weights", train.weights, ("none", "imagenet")),
        ("init", train.init, ("torch", "paper")),
    ):
        if given in words:
            continue
        if Path(os.path.realpath(given)).is_relative_to(os.path.realpath(args.model)):
            raise CheckpointError(
                f"train.{name}: {given} is what this stage writes, and DVC removes it before: bring it back with "
                f"`dvc checkout {args.model}`, copy it to another place, and give the copy"
            )
        weights.check_file(Path(given), setting=f"train.{name}")


def _feed(args: Namespace, settings: Params, *, machine: device.Device, group: Processes) -> tuple[Feed, str]:
    """Prepare the data, and return the fingerprint of what will be read."""
    choices = split.read(args.split)
    train_labels, val_labels = split.of(choices, "train"), split.of(choices, "val")
    check(train_labels, val_labels)
    uses = {one.key: f"{one.split} {labels.NAMES[one.label]}" for one in choices if one.split != "test"}
    train, sampling = settings.train, plan.sampling(settings.loss, settings.train)
    gpu = machine.torch.type == "cuda"
    place: dict[str, Any] = {"rank": group.rank, "world": group.world, "pin_memory": gpu}
    helpers = max(1, entry.workers() // processes.local_world())
    if train.order == "stream":
        found = survey(Store(entry.shards() or str(args.shards)), uses, threads=helpers)
        streams: dict[str, Any] = {"shuffle_videos": train.shuffle_videos, "threads": helpers}
        return StreamFeed(found, train_labels, val_labels, sampling, **streams, **place), found.fingerprint(uses)
    shards = Shards(args.shards)
    loaders = helpers if gpu else 0  # a CPU that trains has none to spare
    return RandomFeed(shards, train_labels, val_labels, sampling, loaders=loaders, **place), shards.fingerprint(uses)


def _told(place: Place) -> str:
    """Say in few words how the training goes."""
    parts = []
    if place.batch:
        parts.append(f"loss {place.sums['loss'] / place.batch:.3f}")
    if place.history:
        last = place.history[-1]
        known = {name: last[f"val_{name}_auc"] for name in ("video", "frame") if f"val_{name}_auc" in last}
        told = ", ".join(f"{name} {auc:.3f}" for name, auc in known.items())
        parts.append(f"epoch {last['epoch']:.0f}: val AUC {told}")
    return ", ".join(parts)


def _write(args: Namespace, result: Fit, *, settings: Params, fingerprint: str) -> None:
    if result.worked:
        share = result.waited / result.worked
        sys.stderr.write(f"{result.worked:.0f} s of steps, {share:.0%} of them waiting for faces\n")
    spec = settings.train.spec(settings.faces.input_size)
    card = Card(
        params=settings.model_dump(include={"loss", "train"}),
        data_sha256=fingerprint,
        version=VERSION,
        epoch=result.best.epoch,
        thresholds=result.best.thresholds,
        validation=result.best.validation,
        model={**asdict(spec), "levels": list(spec.levels), **settings.train.scoring},
        weights_sha256="",
    )
    checkpoint.save(args.model, result.best.state, card)
    history.write(args.history, result.history)


if __name__ == "__main__":
    entry.run(main)
