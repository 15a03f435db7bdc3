"""One step of training: the loss of a batch over all processes, its gradient, and what it tells, a step later."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dualface.batches import Batch, valid
from dualface.device import Device
from dualface.errors import TrainingError
from dualface.losses import LevelLoss, bce_loss, dual_loss, focal_loss, joint_loss
from dualface.models.dual import Logits
from dualface.params import LossParams, TrainParams
from dualface.processes import Processes
from dualface.train import memory

NOWHERE = -1.0  # the label of what counts nowhere: padding


@dataclass(frozen=True)
class Told:
    """What a step tells: numbers that are still on their way from the device.

    Attributes:
        keys: the videos of this process's part of the batch.
        names: of the numbers.
        values: `(K,)` float64 on the CPU, not to be read before `ready`.
        ready: the device's mark behind the copy; None where there is nothing to wait for.
    """

    keys: list[str]
    names: tuple[str, ...]
    values: Tensor
    ready: torch.cuda.Event | None

    def read(self) -> dict[str, float]:
        """Return the numbers by name.

        Raises:
            TrainingError: the loss is not finite.
        """
        if self.ready is not None:
            self.ready.synchronize()
        numbers = dict(zip(self.names, self.values.tolist(), strict=True))
        if not torch.isfinite(self.values).all():
            shown = ", ".join(self.keys[:3]) + (f" and {len(self.keys) - 3} more" if len(self.keys) > 3 else "")
            raise TrainingError(
                f"the loss is {numbers['loss']} in the batch of {shown}: "
                "lower train.learning_rate, or look at these videos' faces"
            )
        return numbers


@dataclass(frozen=True)
class Step:
    """What a step needs: the network as all processes train it together, its optimizer, and the settings."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    loss: LossParams
    train: TrainParams
    device: Device
    processes: Processes

    def run(self, batch: Batch, *, stop: bool) -> Told:
        """Take one step. Nothing waits for the device: what came of it is read while the next one is computed.

        Args:
            batch: this process's part.
            stop: whether this process was asked to stop; all learn of it from `Told`, at the same step.

        Raises:
            TrainingError: the device has too little memory.
        """
        told = self._attempt(batch, stop=stop)
        if told is None:  # only now are the failed attempt's tensors gone
            raise TrainingError(memory.advice(self.network, batch, train=self.train, device=self.device))
        self.scheduler.step()
        return told

    def _attempt(self, batch: Batch, *, stop: bool) -> Told | None:
        """Return None where memory did not suffice."""
        self.optimizer.zero_grad(set_to_none=True)
        try:
            terms = self._terms(batch, stop=stop)
            (terms["loss"] * self.processes.world).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            return None
        values = torch.stack([term.detach().double() for term in terms.values()])
        values = values.to("cpu", non_blocking=True)
        ready = None
        if self.device.torch.type == "cuda":
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record()
        return Told(batch.keys, tuple(terms), values, ready)

    def _terms(self, batch: Batch, *, stop: bool) -> dict[str, Tensor]:
        frames, world = self.train.frames, self.processes.world
        faces = batch.faces.to(self.device.torch, non_blocking=True)
        with self.device.autocast():
            logits = self.network(faces, batch.lengths, frames=frames, at_once=self.train.micro_batch)
        rows = len(batch.keys) if world == 1 else self.train.batch_size  # all processes must give as many
        table = self.processes.gather(table_of(logits, batch, rows=rows, frames=frames, stop=stop))
        return terms_of(table, frames=frames, settings=self.loss)


def table_of(logits: Logits, batch: Batch, *, rows: int, frames: int, stop: bool) -> Tensor:
    """Lay out logits and labels of this process's videos as one table of a fixed shape, for the others.

    Args:
        logits: `(B,)` and `(B, T)` float32.
        batch: their B videos.
        rows: R, at least B; what is missing counts nowhere.
        frames: T.
        stop: put into each row.

    Returns:
        `(R, 3 + 2 T)` float32: whether to stop, the video's label and logit, the frames' labels and logits.
    """
    count = len(batch.keys)
    facts = torch.full((rows, 2 + frames), NOWHERE)
    facts[:, 0] = float(stop)
    facts[:count, 1] = batch.video_label.float()
    facts[:count, 2:][valid(batch.lengths, frames=frames)] = batch.frame_label.float()
    facts = facts.to(logits.video.device, non_blocking=True)
    known = torch.cat([logits.video[:, None], logits.frame], dim=1).float()  # (B, 1 + T)
    known = nn.functional.pad(known, (0, 0, 0, rows - count))
    return torch.cat([facts[:, :2], known[:, :1], facts[:, 2:], known[:, 1:]], dim=1)


def terms_of(table: Tensor, *, frames: int, settings: LossParams) -> dict[str, Tensor]:
    """Compute the loss of a table of all processes (`table_of`) and what to tell of it, scalars by name."""
    stop, video_label, video_logit = table[:, 0], table[:, 1], table[:, 2]
    frame_label, frame_logit = table[:, 3 : 3 + frames].flatten(), table[:, 3 + frames :].flatten()
    video, frame = (
        level_loss(logit, label, valid=label != NOWHERE, settings=settings)
        for logit, label in ((video_logit, video_label), (frame_logit, frame_label))
    )
    levels = {"video": video, "frame": frame}
    return {
        "loss": dual_loss(video, frame, beta=settings.beta),
        **{f"{name}_{part}_loss": term for name, level in levels.items() for part, term in level.terms.items()},
        **{f"{name}_pairs": level.pairs for name, level in levels.items()},
        "without_pairs": (video.pairs * frame.pairs == 0).float(),
        "stop": stop.max(),
    }


def level_loss(logit: Tensor, label: Tensor, *, valid: Tensor, settings: LossParams) -> LevelLoss:
    """Return the loss of one level, of the kind that the settings name.

    Args:
        logit: `(N,)` floats.
        label: `(N,)` floats, 1 = FAKE.
        valid: `(N,)` bool, False where an element counts nowhere.
        settings: the section `loss`.
    """
    counted: dict[str, Any] = {"valid": valid}
    match settings.name:
        case "joint":
            return joint_loss(logit, label, alpha=settings.alpha, gamma=settings.gamma, p=settings.p, **counted)
        case "focal":
            return focal_loss(logit, label, alpha=settings.focal_alpha, exponent=settings.focal_exponent, **counted)
        case "bce":
            return bce_loss(logit, label, **counted)
