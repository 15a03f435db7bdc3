"""Feeds: where training takes its batches from, and validation its videos. This one reads any video at any time."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dualface import label as labels
from dualface.batches import Batch, check_classes, collate, count_batches, epoch_batches, fitted, reversed_draws
from dualface.errors import DualfaceError, TrainingError
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack
from dualface.windows import ORDER, REVERSED, Sampling, Visit, Window, draw, to_keep


class Feed(Protocol):
    """What training needs of the shards, for one of the processes that train together."""

    def __len__(self) -> int:
        """Count the batches of an epoch."""

    def epoch(self, number: int, *, start: int) -> Iterator[Batch]:
        """Yield this process's part of each batch of an epoch.

        Args:
            number: the epoch, from 1.
            start: the first batch, from 0.
        """

    def validation(self) -> Iterator[tuple[FaceTrack, int]]:
        """Yield this process's share of the validation videos with their labels, in the same order each time."""


Item = tuple[int, Visit, bool]
"""A training window: the epoch, the visit, and whether it must stay as it is (`to_keep`)."""


class EpochSampler:
    """Gives a DataLoader each epoch's batches, of each the part of one process.

    Attributes:
        epoch: the epoch to give; set before each.
        start: its first batch, from 0: what was trained on before a resume is passed over.
    """

    def __init__(self, video_labels: list[int], sampling: Sampling, *, rank: int, world: int) -> None:
        """Check that each process has a video in each batch.

        Args:
            video_labels: by number, 1 = FAKE.
            sampling: how videos become batches.
            rank: which process this is, from 0.
            world: how many there are.

        Raises:
            TrainingError: a class is missing, or a batch has fewer videos than there are processes.
        """
        self._videos = len(video_labels)
        self._is_fake = np.tile(np.array(video_labels) == labels.FAKE, sampling.visits)
        check_classes(self._is_fake, fewest=max(sampling.fewest, int(sampling.mirrored)))
        self._sampling, self._rank, self._world = fitted(sampling, self._is_fake), rank, world
        self.epoch = self.start = 0
        fewest = min(map(len, self._batches()))
        if fewest < world:
            raise TrainingError(
                f"{world} processes share batches of as few as {fewest} videos (train.batch_size "
                f"{sampling.batch_size}, {len(video_labels)} videos): start at most {fewest} processes"
            )

    def _batches(self) -> list[list[int]]:
        rng = np.random.default_rng([self._sampling.seed, ORDER, self.epoch])
        return epoch_batches(self._is_fake, batch_size=self._sampling.batch_size, fewest=self._sampling.fewest, rng=rng)

    def __iter__(self) -> Iterator[list[Item]]:
        """Yield what a batch holds; item `i` of V videos is visit `i // V` of video `i % V`."""
        epoch = self.epoch
        rng = np.random.default_rng([self._sampling.seed, REVERSED, epoch])
        for place, items in enumerate(self._batches()):
            others = reversed_draws(self._is_fake, len(items), rng=rng) if self._sampling.mirrored else []
            if place >= self.start:
                kept = to_keep(
                    (self._visit(one) for one in items if not self._is_fake[one]), self._sampling, epoch=epoch
                )
                mine = items[self._rank :: self._world] + others[self._rank :: self._world]
                yield [(epoch, visit, visit == kept) for visit in map(self._visit, mine)]

    def _visit(self, item: int) -> Visit:
        return item % self._videos, item // self._videos

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return count_batches(self._is_fake, batch_size=self._sampling.batch_size, fewest=self._sampling.fewest)


class RandomFeed:
    """Videos in an order drawn anew for each epoch, read from wherever they lie in a folder of shards.

    Batches, windows and flips depend on the seed alone, not on the number of loader processes. Go through one
    epoch, or one validation, at a time: both use the same processes.
    """

    def __init__(
        self,
        shards: Shards,
        train_labels: dict[str, int],
        val_labels: dict[str, int],
        sampling: Sampling,
        *,
        loaders: int,
        rank: int,
        world: int,
        pin_memory: bool,
    ) -> None:
        """Prepare to read; loader processes start with the first batch.

        Args:
            shards: where the faces lie.
            train_labels: label of each training video, by key; 1 = FAKE.
            val_labels: label of each validation video, by key.
            sampling: how training videos become batches.
            loaders: processes that read and decode; 0 = this one.
            rank: which of the processes that train together this is, from 0.
            world: how many they are.
            pin_memory: whether batches lie in memory that a GPU can copy from by itself.

        Raises:
            TrainingError: a class is missing, or a batch has fewer videos than there are processes.
        """
        self._sampler = EpochSampler(list(train_labels.values()), sampling, rank=rank, world=world)
        self._validation = [[number] for number in range(len(val_labels))][rank::world]
        self._order = _Order(self._sampler)
        self._loader: DataLoader[Any] = DataLoader(
            _Items(shards, list(train_labels.items()), list(val_labels.items()), sampling),
            batch_sampler=self._order,
            collate_fn=_together,
            num_workers=loaders,
            persistent_workers=loaders > 0,
            multiprocessing_context="spawn" if loaders else None,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # or each round would draw from that of the network's layers, resumed ones too
        )

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self._sampler)

    def epoch(self, number: int, *, start: int) -> Iterator[Batch]:
        """Yield this process's part of each batch of epoch `number`, from batch `start` on."""
        self._sampler.epoch, self._sampler.start = number, start
        yield from self._loaded(self._sampler)

    def validation(self) -> Iterator[tuple[FaceTrack, int]]:
        """Yield this process's validation videos, in the order of their keys as given."""
        for sent in self._loaded(self._validation):
            yield replace(sent.track, faces=sent.faces.numpy()), sent.label

    def _loaded(self, order: Iterable[list[Any]]) -> Iterator[Any]:
        self._order.given = order
        with naming_deaths():
            for made in self._loader:
                if isinstance(made, DualfaceError | OSError):
                    raise made
                yield made


@contextmanager
def naming_deaths() -> Iterator[None]:
    """Turn the death of a loader process into a TrainingError of one line.

    torch raises its own error wherever the main thread is at that moment: a training loop stands in this context.
    """
    try:
        yield
    except (RuntimeError, EOFError, ConnectionError) as error:  # the last two: it died with a batch on its way
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or torch tells of it again, wherever we are by then
        raise TrainingError(
            f"a process that loads faces ended ({reason}): most often for want of memory; "
            "set DUALFACE_WORKERS lower, or give a container more shared memory (--shm-size)"
        ) from None


@dataclass
class _Order:
    """A DataLoader's order of items, which can be exchanged between two rounds."""

    given: Iterable[list[Any]]

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.given)


@dataclass(frozen=True)
class _Sent:
    """A validation video on its way between processes: a tensor goes through shared memory, an array is copied."""

    track: FaceTrack
    faces: Tensor
    label: int


@dataclass(frozen=True)
class _Items(Dataset[Any]):
    """A window for an `Item`, a validation video for its number; an error is an item.

    Raised in another process it would come back with that process's traceback as its message.
    """

    shards: Shards
    train: list[tuple[str, int]]
    val: list[tuple[str, int]]
    sampling: Sampling

    def __getitem__(self, item: Item | int) -> Window | _Sent | DualfaceError | OSError:
        try:
            return self._window(*item) if isinstance(item, tuple) else self._whole(item)
        except (DualfaceError, OSError) as error:
            return error

    def _window(self, epoch: int, visit: Visit, plain: bool) -> Window:
        key, label = self.train[visit[0]]
        return draw(self.shards.read(key), self.sampling, label=label, epoch=epoch, visit=visit, plain=plain)

    def _whole(self, number: int) -> _Sent:
        key, label = self.val[number]
        track = self.shards.read(key)
        return _Sent(replace(track, faces=track.faces[:0]), torch.from_numpy(track.faces), label)


def _together(items: list[Any]) -> Batch | _Sent | DualfaceError | OSError:
    for item in items:
        if isinstance(item, _Sent | DualfaceError | OSError):
            return item
    try:
        return collate(items)
    except DualfaceError as error:
        return error
