"""Training: the dual-level network, the joint loss, and the epoch that ranks validation videos best."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from dualface import label as labels
from dualface.batches import Batch, EpochSampler, TrainingWindows, collate, valid
from dualface.device import Device
from dualface.errors import TrainingError
from dualface.losses import dual_loss, joint_loss
from dualface.metrics import roc_auc, youden_threshold
from dualface.models.dual import DualNet
from dualface.params import LossParams, TrainParams
from dualface.predict import score_videos
from dualface.scores import VideoScores
from dualface.shards.read import Shards


@dataclass
class Fit:
    """What training gives.

    Attributes:
        state: the weights of the best epoch, on the CPU.
        epoch: that epoch, from 1.
        input_size: side of the faces that it was trained on, px.
        thresholds: decision threshold on P(fake) for `video` and `frame`, chosen on validation at that epoch.
        validation: AUC of both levels at that epoch.
        history: a row per epoch.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    input_size: int = 0
    thresholds: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    shards: Shards,
    train_labels: dict[str, int],
    val_labels: dict[str, int],
    *,
    loss: LossParams,
    train: TrainParams,
    device: Device,
    loaders: int,
    progress: Callable[[dict[str, float]], None],
) -> Fit:
    """Train a detector.

    Differs from the paper: its published code evaluates the test set every epoch; here the test split plays no part.
    Best is the epoch with the highest `beta * video AUC + (1 - beta) * frame AUC` on validation: the levels
    count as they do in the loss.

    Args:
        shards: where the faces lie.
        train_labels: label of each training video, by key.
        val_labels: label of each validation video, by key.
        loss: parameters of the joint loss.
        train: parameters of the model and its training.
        device: where it runs.
        loaders: processes that read and decode faces; 0 = this one.
        progress: called after each epoch with its row of the history.

    Raises:
        TrainingError: a class is missing, or the loss is not finite.
    """
    _check(train_labels, val_labels)
    with torch.random.fork_rng():  # torch's layers know only the global generator
        torch.manual_seed(train.seed)
        model = DualNet(train.backbone, weights=train.weights)
    model = model.to(memory_format=torch.channels_last).to(device.torch)
    sampler = EpochSampler(
        list(train_labels.values()), batch_size=train.batch_size, both=loss.alpha < 1, seed=train.seed
    )
    loader = _loader(shards, train_labels, sampler, train=train, loaders=loaders)
    optimizer = torch.optim.Adam(model.parameters(), lr=train.learning_rate)
    scheduler = _schedule(optimizer, train, steps=train.epochs * len(sampler))
    result, best = Fit(input_size=shards.read(next(iter(train_labels))).faces.shape[1]), -1.0
    for epoch in range(1, train.epochs + 1):
        sampler.epoch = epoch
        row = _epoch(model, loader, optimizer, scheduler, loss=loss, frames=train.frames, device=device)
        scored = list(_scored(model, shards, val_labels, train=train, device=device))
        validation = {"video_auc": roc_auc(*_video_level(scored)), "frame_auc": roc_auc(*_frame_level(scored))}
        result.history.append({"epoch": epoch, **row, **{f"val_{name}": value for name, value in validation.items()}})
        progress(result.history[-1])
        rank = loss.beta * validation["video_auc"] + (1 - loss.beta) * validation["frame_auc"]
        if rank > best:
            best = rank
            result.state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
            result.epoch, result.validation = epoch, validation
            result.thresholds = {
                "video": youden_threshold(*_video_level(scored)),
                "frame": youden_threshold(*_frame_level(scored)),
            }
    return result


def _check(train_labels: dict[str, int], val_labels: dict[str, int]) -> None:
    for name, split in (("train", train_labels), ("val", val_labels)):
        fakes = sum(label == labels.FAKE for label in split.values())
        if not 0 < fakes < len(split):
            raise TrainingError(
                f"split {name!r} holds {len(split) - fakes} real and {fakes} fake videos; both classes are needed"
            )


def _loader(
    shards: Shards, train_labels: dict[str, int], sampler: EpochSampler, *, train: TrainParams, loaders: int
) -> DataLoader[Any]:
    data = TrainingWindows(
        shards,
        keys=list(train_labels),
        video_labels=list(train_labels.values()),
        frames=train.frames,
        stride=train.stride,
        flip=train.flip,
        seed=train.seed,
    )
    return DataLoader(
        data,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=loaders,
        persistent_workers=loaders > 0,
        multiprocessing_context="spawn" if loaders else None,
    )


def _schedule(
    optimizer: torch.optim.Optimizer, train: TrainParams, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if train.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=train.learning_rate, total_steps=steps, cycle_momentum=False
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _epoch(
    model: DualNet,
    loader: DataLoader[Any],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    *,
    loss: LossParams,
    frames: int,
    device: Device,
) -> dict[str, float]:
    """Run one epoch and return the means of its terms."""
    model.train()
    rows = []
    rate = float(scheduler.get_last_lr()[0])
    for batch in loader:
        optimizer.zero_grad(set_to_none=True)
        total, row = _step(model, batch, loss=loss, frames=frames, device=device)
        if not torch.isfinite(total):
            raise TrainingError(
                f"the loss is {total.item()} in the batch of {', '.join(batch.keys[:3])}, ...: "
                "lower train.learning_rate, or look at these videos' faces"
            )
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        rows.append(row)
    return {"learning_rate": rate, **{name: float(np.mean([row[name] for row in rows])) for name in rows[0]}}


def _step(
    model: DualNet, batch: Batch, *, loss: LossParams, frames: int, device: Device
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of one batch, and its terms as numbers."""
    faces, lengths, frame_label, video_label = (
        tensor.to(device.torch, non_blocking=True)
        for tensor in (batch.faces, batch.lengths, batch.frame_label, batch.video_label)
    )
    with device.autocast():
        logits = model(faces, lengths, frames=frames)
    weights = {"alpha": loss.alpha, "gamma": loss.gamma, "p": loss.p}
    video = joint_loss(logits.video, video_label, **weights)
    frame = joint_loss(logits.frame[valid(lengths, frames=frames)], frame_label, **weights)
    total = dual_loss(video, frame, beta=loss.beta)
    terms = {
        "loss": total,
        "video_bce_loss": video.bce,
        "video_auc_loss": video.auc,
        "frame_bce_loss": frame.bce,
        "frame_auc_loss": frame.auc,
    }
    without_pairs = {"without_pairs": float(video.pairs == 0 or frame.pairs == 0)}
    return total, {**{name: term.item() for name, term in terms.items()}, **without_pairs}


def _scored(
    model: DualNet, shards: Shards, val_labels: dict[str, int], *, train: TrainParams, device: Device
) -> Iterator[VideoScores]:
    tracks = ((shards.read(key), label) for key, label in val_labels.items())
    return score_videos(model, tracks, frames=train.frames, stride=train.stride, device=device)


def _video_level(scored: list[VideoScores]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([video.score for video in scored]), np.array([video.label for video in scored])


def _frame_level(scored: list[VideoScores]) -> tuple[np.ndarray, np.ndarray]:
    frame_score = np.concatenate([video.frame_score for video in scored])
    return frame_score, np.concatenate([video.frame_label for video in scored])
