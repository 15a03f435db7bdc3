"""Where a training stands: all that decides how it goes on, as tensors and plain facts."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dualface.errors import CheckpointError


@dataclass
class Best:
    """The epoch that ranked validation best so far.

    Attributes:
        rank: what it is chosen by, the weighted AUC of the method's levels; -1 = none yet.
        epoch: from 1.
        thresholds: decision threshold on P(fake) by level.
        validation: AUC by level.
        state: the weights, on the CPU.
    """

    rank: float = -1.0
    epoch: int = 0
    thresholds: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Place:
    """How far a training has come.

    Attributes:
        epoch: the one at work, from 1.
        batch: batches of it that are done.
        sums: over those, of what each told.
        history: a row for each epoch before.
        best: the best of these.
    """

    epoch: int = 1
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best = field(default_factory=Best)


@dataclass(frozen=True)
class State:
    """A training's parts that change."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler

    def taken(self, place: Place) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything as tensors by name, and facts of JSON types."""
        told = self.optimizer.state_dict()
        tensors = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in place.best.state.items()}
        for number, values in told["state"].items():
            tensors |= {f"optimizer/{number}/{name}": tensor for name, tensor in values.items()}
        tensors["random"] = torch.random.get_rng_state()
        facts = asdict(Place(place.epoch, place.batch, place.sums, place.history))
        facts["best"] = {name: value for name, value in vars(place.best).items() if name != "state"}
        return tensors, {
            "place": facts,
            "groups": told["param_groups"],
            "scheduler": self.scheduler.state_dict(),
        }

    def restored(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Place:
        """Put back what `taken` returned, and return the place.

        Raises:
            CheckpointError: it is of another training.
        """
        try:
            self.model.load_state_dict(_part(tensors, "model/"))
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _part(tensors, "optimizer/").items():
                number, _, moment = name.partition("/")
                moments.setdefault(int(number), {})[moment] = self._laid_out(tensor, int(number))
            self.optimizer.load_state_dict({"state": moments, "param_groups": facts["groups"]})
            self.scheduler.load_state_dict(facts["scheduler"])
            torch.random.set_rng_state(tensors["random"])
            best = Best(**facts["place"]["best"], state=_part(tensors, "best/"))
            place = Place(**{**facts["place"], "best": best})
            if not _makes_sense(place):
                raise ValueError("its place is none")
            return place
        except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"the snapshot is not of this training ({reason}); delete it to start anew") from None

    def _laid_out(self, moment: Tensor, number: int) -> Tensor:
        """Give a moment the memory layout of its parameter: fused optimizers go through both from front to back."""
        parameter = [one for group in self.optimizer.param_groups for one in group["params"]][number]
        return torch.empty_like(parameter).copy_(moment) if moment.shape == parameter.shape else moment


def _makes_sense(place: Place) -> bool:
    """Say whether a training can go on from a place that a file names."""
    counts = type(place.epoch) is int and type(place.batch) is int and place.epoch >= 1 and place.batch >= 0
    numbers = (*place.sums.values(), *(value for row in place.history for value in row.values()), place.best.rank)
    begun = not place.batch or {"learning_rate", "loss"} <= place.sums.keys()
    return (
        counts and begun and len(place.history) == place.epoch - 1 and all(type(one) in (int, float) for one in numbers)
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
