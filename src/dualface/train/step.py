"""One step of training: the loss of a batch over all processes, its gradient, and what it tells, a step later."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dualface.batches import Batch, valid
from dualface.device import Device
from dualface.errors import TrainingError
from dualface.losses import (
    LevelLoss,
    bce_loss,
    component_bce_loss,
    dual_loss,
    focal_loss,
    joint_loss,
    squared_error_loss,
)
from dualface.methods import LossKind, loss_kind
from dualface.models.logits import Logits
from dualface.params import LossParams, TrainParams
from dualface.processes import Processes
from dualface.train import memory

KEYS = 32  # of a batch, in a message
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
            more = len(self.keys) - KEYS
            shown = ", ".join(self.keys[:KEYS]) + (f" and {more} more" if more > 0 else "")
            told = f"the loss is {numbers['loss']} in the batch of {shown}"
            raise TrainingError(f"{told}: lower train.learning_rate, or look at these videos' faces")
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
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            told = f"the batch of {batch.keys[0]} leaves batch normalisation a single number"
            raise TrainingError(f"{told}: set train.frames or train.batch_size to another value") from None
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
        world, kind = self.processes.world, loss_kind(self.train.method, self.loss.name)
        faces = batch.faces.to(self.device.torch, non_blocking=True)
        with self.device.autocast():
            logits = self.network(faces, batch.lengths, frames=self.train.frames, at_once=self.train.micro_batch)
        if kind != "component_bce":
            logits = logits._replace(components=None)
        most = self.train.windows * (2 if kind == "cumulative" else 1)
        rows = len(batch.keys) if world == 1 else most  # all processes must give as many
        layout = Layout.of(logits, frames=self.train.frames)
        table = self.processes.gather(table_of(logits, batch, rows=rows, layout=layout, stop=stop))
        return terms_of(table, layout=layout, kind=kind, settings=self.loss)


@dataclass(frozen=True)
class Layout:
    """The columns of the table that processes give each other, a row per window.

    Whether to stop; the weight of its frames; the video's label, and its logit where there is one; the frames' labels;
    their logits; and the logits' components.

    Attributes:
        frames: T.
        video: whether there are video logits.
        frame: whether there are frame logits.
        components: K, of each frame; 0 = none.
    """

    frames: int
    video: bool
    frame: bool
    components: int

    @classmethod
    def of(cls, logits: Logits, *, frames: int) -> "Layout":
        """Return the layout for what a network gives."""
        components = 0 if logits.components is None else logits.components.shape[-1]
        return cls(frames, logits.video is not None, logits.frame is not None, components)

    @property
    def widths(self) -> list[int]:
        """How many columns each part takes."""
        return [3, int(self.video), self.frames, self.frames * self.frame, self.frames * self.components]


def table_of(logits: Logits, batch: Batch, *, rows: int, layout: Layout, stop: bool) -> Tensor:
    """Lay out logits and labels of this process's windows as one table of a fixed shape, for the others.

    Args:
        logits: float32.
        batch: their B windows.
        rows: R, at least B; what is missing counts nowhere.
        layout: of the columns.
        stop: put into each row.

    Returns:
        `(R, C)` float32.
    """
    count = len(batch.keys)
    facts = torch.full((rows, 3 + layout.frames), NOWHERE)
    facts[:, 0], facts[:, 1] = float(stop), 0.0
    facts[:count, 2] = batch.video_label.float()
    facts[:count, 3:][valid(batch.lengths, frames=layout.frames)] = batch.frame_label.float()
    given = [one for one in (logits.video, logits.frame, logits.components) if one is not None]
    facts = facts.to(given[0].device, non_blocking=True)
    weight = torch.ones_like(facts[:count, 1]) if logits.weight is None else logits.weight
    known = [nn.functional.pad(one.float().reshape(count, -1), (0, 0, 0, rows - count)) for one in given]
    head = torch.stack([facts[:, 0], nn.functional.pad(weight, (0, rows - count)), facts[:, 2]], dim=1)
    split = int(layout.video)
    return torch.cat([head, *known[:split], facts[:, 3:], *known[split:]], dim=1)


def terms_of(table: Tensor, *, layout: Layout, kind: LossKind, settings: LossParams) -> dict[str, Tensor]:
    """Compute the loss of a table of all processes (`table_of`) and what to tell of it, scalars by name.

    Of a method with one level the loss is that level's; of one with both they are weighed by beta (Eq. 5).
    """
    head, video_logit, frame_label, frame_logit, components = table.split_with_sizes(layout.widths, dim=1)
    levels: dict[str, LevelLoss] = {}
    common: dict[str, Any] = {"kind": kind, "settings": settings}
    if layout.video:
        label = head[:, 2]
        levels["video"] = level_loss(video_logit.squeeze(1), label, valid=label != NOWHERE, **common)
    if layout.frame:
        label = frame_label.flatten()
        weight = head[:, 1:2].expand_as(frame_label).flatten()
        parts = components.reshape(len(label), -1) if layout.components else None
        counted: dict[str, Any] = {"valid": label != NOWHERE, "weight": weight, "components": parts}
        levels["frame"] = level_loss(frame_logit.flatten(), label, **counted, **common)
    pairs = torch.stack([level.pairs for level in levels.values()])
    return {
        "loss": dual_loss(levels, beta=settings.beta),
        **{f"{name}_{part}_loss": term for name, level in levels.items() for part, term in level.terms.items()},
        **{f"{name}_pairs": level.pairs for name, level in levels.items()},
        "without_pairs": (pairs.min() == 0).float(),
        "stop": head[:, 0].max(),
    }


def level_loss(
    logit: Tensor,
    label: Tensor,
    *,
    valid: Tensor,
    kind: LossKind,
    settings: LossParams,
    weight: Tensor | None = None,
    components: Tensor | None = None,
) -> LevelLoss:
    """Return the loss of one level.

    Args:
        logit: `(N,)` floats.
        label: `(N,)` floats, 1 = FAKE.
        valid: `(N,)` bool, False where an element counts nowhere.
        kind: of the loss.
        settings: the section `loss`.
        weight: `(N,)` floats, of `cumulative`.
        components: `(N, K)` floats, of `component_bce`.
    """
    counted: dict[str, Any] = {"valid": valid}
    match kind:
        case "joint":
            return joint_loss(logit, label, alpha=settings.alpha, gamma=settings.gamma, p=settings.p, **counted)
        case "focal":
            return focal_loss(logit, label, alpha=settings.focal_alpha, exponent=settings.focal_exponent, **counted)
        case "squared_error":
            return squared_error_loss(logit, label, **counted)
        case "component_bce" if components is not None:
            return component_bce_loss(components, label, **counted)
        case "cumulative":
            return bce_loss(logit, label, weight=weight, **counted)
        case _:
            return bce_loss(logit, label, **counted)
