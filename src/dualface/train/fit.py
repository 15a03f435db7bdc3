"""Training: epochs of steps, and the epoch that ranks validation videos best."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dualface import label as labels
from dualface import methods
from dualface.batches import Batch
from dualface.device import Device
from dualface.errors import Stopped, TrainingError
from dualface.feeds import Feed, naming_deaths
from dualface.methods import Spec, loss_kind
from dualface.metrics import roc_auc, youden_threshold
from dualface.models.bbn import share
from dualface.models.dual import DualNet
from dualface.models.frame_level import MixingDetector
from dualface.models.make import make
from dualface.models.pieces import recompute_blocks
from dualface.params import LossParams, TrainParams
from dualface.predict import score_videos
from dualface.processes import Processes
from dualface.scores import VideoScores, of_level
from dualface.shards.sample import FaceTrack
from dualface.train.optimizer import optimizer_of
from dualface.train.snapshot import Snapshots
from dualface.train.state import Best, Place, State
from dualface.train.step import Step, Told


@dataclass(frozen=True)
class Fit:
    """What training gives.

    Attributes:
        best: the epoch that was chosen, with its weights.
        history: a row per epoch.
        waited: seconds that steps waited for their batches, in this run.
        worked: seconds of all steps of this run, with that.
    """

    best: Best
    history: list[dict[str, float]]
    waited: float
    worked: float


def fit(
    feed: Feed,
    *,
    input_size: int,
    loss: LossParams,
    train: TrainParams,
    device: Device,
    processes: Processes,
    snapshots: Snapshots | None,
    stop: Callable[[], bool],
    progress: Callable[[Place], None],
) -> Fit:
    """Train a detector, from the last snapshot where there is one.

    Differs from the paper: its published code evaluates the test set every epoch; here the test split plays no part.
    Best is the epoch with the highest `beta * video AUC + (1 - beta) * frame AUC` on validation: the levels
    count as they do in the loss. Of a method with one level, that level's AUC counts alone.

    Args:
        feed: this process's part of the data.
        input_size: side of the faces, px.
        loss: parameters of the loss.
        train: parameters of the model and its training.
        device: where it runs.
        processes: who trains this model together.
        snapshots: where to go on from, and to save to; None = neither. The first process's counts.
        stop: asked at each step and each validation video; training ends at most two steps later.
        progress: called after each step and each epoch, and where it goes on from a snapshot.

    Raises:
        TrainingError: the loss is not finite, memory does not suffice, or the faces are of another size.
        CheckpointError: weights to start from can't be had, or do not fit.
        Stopped: `stop` said so; a snapshot was saved.
    """
    with torch.random.fork_rng():  # torch's layers know only the global generator
        torch.manual_seed(train.seed)
        run = _Run(feed, input_size=input_size, loss=loss, train=train, device=device, processes=processes)
        run.attend(snapshots=snapshots, stop=stop, progress=progress)
        if run.resume():
            progress(run.place)
        with naming_deaths():
            while run.place.epoch <= train.epochs:
                run.epoch()
    return Fit(run.place.best, run.place.history, waited=run.waited, worked=run.worked)


class _Run:
    """One training at work."""

    def __init__(
        self,
        feed: Feed,
        *,
        input_size: int,
        loss: LossParams,
        train: TrainParams,
        device: Device,
        processes: Processes,
    ) -> None:
        self.place, self.waited, self.worked = Place(), 0.0, 0.0
        self._feed, self._loss, self._train, self._device, self._processes = feed, loss, train, device, processes
        self._spec = train.spec(input_size)
        self._model = network(self._spec, train=train, device=device)
        optimizer, scheduler = optimizer_of(self._model, train, steps=train.epochs * len(feed))
        self._state = State(self._model, optimizer, scheduler)
        together = processes.together(self._model)
        self._step = Step(together, optimizer, scheduler, loss, train, device, processes)

    def attend(
        self, *, snapshots: Snapshots | None, stop: Callable[[], bool], progress: Callable[[Place], None]
    ) -> None:
        """Connect it with the world; only the first process saves snapshots."""
        self._snapshots = snapshots if self._processes.first else None
        self._stop, self._stopping, self._progress = stop, False, progress

    def resume(self) -> bool:
        """Go on from the first process's snapshot; return whether it has one."""
        saved = self._processes.from_first(self._snapshots.load() if self._snapshots else None)
        if saved is not None:
            self.place = self._state.restored(*saved)
        return saved is not None

    def epoch(self) -> None:
        """Run the rest of the epoch at work, and validate it."""
        self._model.train()
        if isinstance(self._model, MixingDetector) and loss_kind(self._spec.method, self._loss.name) == "cumulative":
            self._model.share = share(self.place.epoch, self._train.epochs)
        if not self.place.batch:
            self.place.sums = {"learning_rate": float(self._step.scheduler.get_last_lr()[0])}
        told: Told | None = None
        for batch in self._timed(self._feed.epoch(self.place.epoch, start=self.place.batch)):
            self._check_side(batch.keys[0], batch.faces)
            before, told = told, self._step.run(batch, stop=self._stop())
            if before is not None:
                self._note(before)  # the device is already at work on the next one
            if self._stopping or (self._snapshots and self._snapshots.due()):
                self._note(told)
                told = None
                self._save()
        if told is not None:
            self._note(told)
        self._close_epoch()

    def _timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches, and measure how long they are waited for."""
        begun = time.perf_counter()
        while (batch := next(batches, None)) is not None:
            self.waited += time.perf_counter() - begun
            yield batch
            self.worked += time.perf_counter() - begun
            begun = time.perf_counter()

    def _note(self, told: Told) -> None:
        """Take in what a step told."""
        numbers = told.read()
        self._stopping = numbers.pop("stop") > 0
        for name, number in numbers.items():
            self.place.sums[name] = self.place.sums.get(name, 0.0) + number
        self.place.batch += 1
        self._progress(self.place)

    def _save(self) -> None:
        """Save a snapshot; leave if that was asked for."""
        if self._snapshots:
            self._snapshots.save(*self._state.taken(self.place))
        if self._stopping:
            kept = "the same command goes on from there" if self._snapshots else "nothing was kept"
            raise Stopped(f"in epoch {self.place.epoch}, after {self.place.batch} of {len(self._feed)} batches; {kept}")

    def _close_epoch(self) -> None:
        self._processes.share_buffers(self._model)  # what is validated is what is kept
        scored = self._validated()
        shown = methods.figure_levels(self._spec.levels)
        validation = {f"{level}_auc": roc_auc(*of_level(scored, level)) for level in shown}
        weights = {"video": self._loss.beta, "frame": 1 - self._loss.beta} if len(self._spec.levels) > 1 else {}
        rank = sum(weights.get(level, 1) * validation[f"{level}_auc"] for level in self._spec.levels)
        place = self.place
        rate = place.sums.pop("learning_rate")
        means = {name: total / place.batch for name, total in place.sums.items()}
        row = {"epoch": place.epoch, "learning_rate": rate, **means}
        place.history.append(row | {f"val_{name}": value for name, value in validation.items()})
        if rank > place.best.rank:
            thresholds = {level: youden_threshold(*of_level(scored, level)) for level in shown}
            state = {name: tensor.detach().cpu().clone() for name, tensor in self._model.state_dict().items()}
            place.best = Best(rank, place.epoch, thresholds, validation, state)
        place.epoch, place.batch, place.sums = place.epoch + 1, 0, {}
        self._progress(place)

    def _check_side(self, key: str, faces: torch.Tensor | np.ndarray) -> None:
        if (side := faces.shape[1]) != self._spec.input_size:
            raise TrainingError(
                f"the faces of {key!r} have {side} px, and faces.input_size is {self._spec.input_size}; "
                "run `dvc repro faces`"
            )

    def _validation(self) -> Iterator[tuple[FaceTrack, int]]:
        for track, label in self._feed.validation():
            self._check_side(track.key, track.faces)
            yield track, label

    def _validated(self) -> list[VideoScores]:
        """Score the validation videos, each process its share; a place to stop at, for all together."""
        mine: list[VideoScores | None] = []
        window = self._train.scoring
        for video in score_videos(self._model, self._validation(), device=self._device, **window):
            if self._stop():
                mine.append(None)
                break
            mine.append(video)
        gathered = self._processes.gather_objects(mine)
        scored = [video for video in gathered if video is not None]
        if len(scored) < len(gathered):
            self._stopping = True
            self._save()
        return scored


def check(train_labels: dict[str, int], val_labels: dict[str, int]) -> None:
    """Raise TrainingError unless both splits hold both classes."""
    for name, split in (("train", train_labels), ("val", val_labels)):
        fakes = sum(label == labels.FAKE for label in split.values())
        if not 0 < fakes < len(split):
            raise TrainingError(
                f"split {name!r} holds {len(split) - fakes} real and {fakes} fake videos; both classes are needed"
            )


def network(spec: Spec, *, train: TrainParams, device: Device) -> nn.Module:
    """Make the network on its device, as the settings of the machine want it."""
    model = make(spec, weights=train.weights, init=train.init)
    model = model.to(memory_format=torch.channels_last).to(device.torch)
    if isinstance(model, DualNet) and train.backbone_rate == 0:
        model.freeze_backbone()
    heavy: nn.Module = model.backbone if isinstance(model, DualNet) else model.get_submodule("network")
    if device.recompute:
        recompute_blocks(model)
    if device.compile:
        heavy.compile(dynamic=True)
    return model
