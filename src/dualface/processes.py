"""The processes that train one model together, as `torchrun` starts them; most often there is one."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from dualface.errors import DualfaceError


@dataclass(frozen=True)
class Processes:
    """One of `world` processes, the one numbered `rank`; the first, 0, writes and speaks for all."""

    rank: int
    world: int

    @property
    def first(self) -> bool:
        """Whether this process writes the outputs."""
        return self.rank == 0

    def gather(self, table: Tensor) -> Tensor:
        """Put the tables of all processes one under the other, in the order of their ranks.

        Only this process's own rows carry a gradient. So a loss of the whole table has, over all processes, each
        row's gradient once; `DistributedDataParallel` divides their sum by `world`, and the loss must be
        multiplied by it before `backward`.

        Args:
            table: `(R, C)` floats; R and C are the same in all processes.

        Returns:
            `(world * R, C)`.
        """
        if self.world == 1:
            return table
        parts = [torch.empty_like(table) for _ in range(self.world)]
        distributed.all_gather(parts, table.detach().contiguous())
        parts[self.rank] = table
        return torch.cat(parts)

    def gather_objects(self, mine: list[Any]) -> list[Any]:
        """Return the lists of all processes as one, dealt back as they were dealt out: one of each in turn."""
        if self.world == 1:
            return mine
        parts: list[Any] = [None] * self.world
        distributed.all_gather_object(parts, mine)
        longest = max(len(part) for part in parts)
        return [part[place] for place in range(longest) for part in parts if place < len(part)]

    def from_first(self, content: Any) -> Any:
        """Return what the first process gives; what the others give is not looked at."""
        if self.world == 1:
            return content
        carrier = [content if self.first else None]
        distributed.broadcast_object_list(carrier)
        return carrier[0]

    def share_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's buffers: of the averages of batch normalisation, each keeps its own."""
        if self.world > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def together(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that its gradients are the mean over all processes; as it is where there is one.

        Each process normalises with the statistics of its own part of a batch, and keeps the first one's averages.
        """
        return model if self.world == 1 else nn.parallel.DistributedDataParallel(model)


ALONE = Processes(rank=0, world=1)


def launch(count: int) -> None:
    """Run this very command in several processes, as `torchrun` does, and exit as they do; return in each of them.

    It stays their parent, so that what watches over this process (`dualface.entry.run`) watches over them.

    Args:
        count: processes on this machine; with 1 this one goes on alone.
    """
    if count == 1 or "RANK" in os.environ:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else torchrun sets it, and warns of that; each sets its threads
    try:
        torchrun(["--standalone", "--nproc-per-node", str(count), "--", *sys.argv])  # behind it, nothing is torchrun's
    except ChildFailedError as error:  # the process has said why
        code = error.get_first_failure()[1].exitcode
        sys.exit(code if code > 0 else 128 - code)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    sys.exit(0)


@contextmanager
def joined(*, gpu: bool) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, as its environment variables say; alone without them.

    Args:
        gpu: whether the processes compute on GPUs, one each.

    Raises:
        DualfaceError: the variables are not what torchrun sets, or the others can't be reached.
    """
    if "RANK" not in os.environ:
        yield ALONE
        return
    try:
        distributed.init_process_group("nccl" if gpu else "gloo")
    except (ValueError, RuntimeError) as error:
        raise DualfaceError(f"torchrun: the processes could not join ({' '.join(str(error).split())[:200]})") from None
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def local_rank() -> int:
    """Return this process's number on its machine, 0 without torchrun: the GPU that it takes."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_world() -> int:
    """Return the number of processes on this machine: they share its cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
