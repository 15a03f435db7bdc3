"""A feed that reads shards from start to end: for object stores, and for disks that are slow to seek."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from dualface import label as labels
from dualface.ahead import ahead
from dualface.batches import Batch, check_classes, collate, count_batches, fitted
from dualface.errors import TrainingError
from dualface.shards.sample import FaceTrack, decode
from dualface.shards.stream import Survey
from dualface.windows import BATCHES, VIDEOS, Sampling, Visit, Window, draw, to_keep

CLASSES = (labels.FAKE, labels.REAL)
AHEAD = 2  # batches, or validation videos, that are made ahead

Sample = tuple[int, dict[str, bytes]]
"""A training video's number, and its members as they are stored."""
Visited = tuple[int, int, dict[str, bytes]]
"""The same behind the number of times that the video was drawn before in the epoch."""


def quotas(owned: np.ndarray, *, batches: int, fewest: int) -> np.ndarray:
    """Say how many videos of each class each process gives to each batch of an epoch.

    As in `dualface.batches.epoch_batches`, each video comes once, both classes are spread evenly, batches differ by
    one video at most, and where batches need fakes a class that has too few videos has some repeated, all of
    them equally often but for one. A process gives what its own shards hold.

    Args:
        owned: `(R, 2)` int64, videos that each of R processes holds, fake and real.
        batches: N, of an epoch (`count_batches`).
        fewest: fakes in each batch; 0 = as they come.

    Returns:
        `(R, 2, N)` int64.
    """
    given = np.zeros((*owned.shape, batches), dtype=np.int64)
    place = 0
    for column in range(len(CLASSES)):
        videos = int(owned[:, column].sum())
        draws = max(videos, batches * (fewest if column == 0 else min(fewest, 1)))
        times, extra = divmod(draws, max(videos, 1))
        for rank, mine in enumerate(owned[:, column].tolist()):
            number = mine * times + min(extra, mine)
            extra -= min(extra, mine)
            given[rank, column] = np.bincount((place + np.arange(number)) % batches, minlength=batches)
            place += number
    return given


def shuffled(numbers: list[int], *, hold: int, rng: np.random.Generator) -> list[int]:
    """Shuffle as a buffer of `hold` videos does that numbers go through: each leaves it at random once it is full."""
    waiting: list[int] = []
    drawn: list[int] = []
    for number in numbers:
        waiting.append(number)
        if len(waiting) == hold:
            at = int(rng.integers(hold))
            waiting[at], waiting[-1] = waiting[-1], waiting[at]
            drawn.append(waiting.pop())
    return drawn + [waiting[at] for at in rng.permutation(len(waiting))]


@dataclass(frozen=True)
class Pass:
    """One way through some shards.

    Attributes:
        shards: their names, in the order in which they are read.
        draws: numbers of the training videos in them, in the order in which they are used.
    """

    shards: list[str]
    draws: list[int]


def drawn(
    passes: Iterable[Pass], read: Callable[[list[str], set[int]], Generator[Sample]], *, keep: bool
) -> Generator[Visited]:
    """Read videos and yield them in the order of their draws; those that were read too early are held.

    Args:
        passes: what to read, and its order; draws are `shuffled` in the order of reading, so that no more are held
            than its buffer does.
        read: reads videos, by number, of shards in the order given.
        keep: whether to hold videos to the end: those of a class that the buffer has room for are read once.
    """
    held: dict[int, dict[str, bytes]] = {}
    for visit, one in enumerate(passes):
        with closing(read(one.shards, set(one.draws) - held.keys())) as samples:
            for number in one.draws:
                while number not in held:
                    at, members = next(samples)
                    held[at] = members
                yield visit, number, held[number] if keep else held.pop(number)


class StreamFeed:
    """Videos in the order of shards, shuffled as far as a buffer reaches; decoded in threads of this process.

    The shards are dealt to the processes that train together, and each reads its own. There are two streams, of
    fake and of real videos, so a shard with both is read twice an epoch; a shard without videos that are wanted is
    not opened. Batches, windows and flips depend on the seed alone.
    """

    def __init__(
        self,
        survey: Survey,
        train_labels: dict[str, int],
        val_labels: dict[str, int],
        sampling: Sampling,
        *,
        shuffle_videos: int,
        threads: int,
        rank: int,
        world: int,
        pin_memory: bool,
    ) -> None:
        """Plan who reads what.

        Args:
            survey: where all these videos lie.
            train_labels: label of each training video, by key; 1 = FAKE.
            val_labels: label of each validation video, by key.
            sampling: how training videos become batches.
            shuffle_videos: encoded videos that each of the two buffers holds at most, from 1.
            threads: that decode.
            rank: which of the processes that train together this is, from 0.
            world: how many they are.
            pin_memory: whether batches lie in memory that a GPU can copy from by itself.

        Raises:
            TrainingError: a class is missing, or a process has no video for some batch.
        """
        label_of = np.tile(list(train_labels.values()), sampling.visits)
        check_classes(label_of == labels.FAKE, fewest=sampling.fewest)
        sampling = fitted(sampling, label_of == labels.FAKE)
        self._survey, self._sampling = survey, sampling
        self._train, self._val = list(train_labels.items()), val_labels
        self._number = {key: number for number, key in enumerate(train_labels)}
        self._hold, self._threads, self._rank, self._pin_memory = shuffle_videos, threads, rank, pin_memory
        parts = dealt(survey, train_labels, world=world)
        owned = np.array(
            [[sum(train_labels[k] == c for ks in part.values() for k in ks) for c in CLASSES] for part in parts]
        )
        self._mine = parts[rank]
        self._mine_val = dealt(survey, val_labels, world=world)[rank]
        self._batches = count_batches(label_of == labels.FAKE, batch_size=sampling.batch_size, fewest=sampling.fewest)
        given = quotas(owned * sampling.visits, batches=self._batches, fewest=sampling.fewest)
        self._quotas = given[rank]
        self._keeps = (given[:, 1] > 0).argmax(axis=0) == rank  # the batches in which this one sees to a real window
        if given.sum(axis=1).min() < 1:
            raise TrainingError(
                f"{world} processes share {sum(map(len, parts))} shards, and one has no video for some batch: "
                "start fewer processes, or write smaller shards (faces.shard_megabytes)"
            )

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self._batches

    def epoch(self, number: int, *, start: int) -> Iterator[Batch]:
        """Yield this process's part of each batch of epoch `number`, from batch `start` on; none before is decoded."""
        with closing(self._made(number, start)) as batches:
            yield from ahead(batches, count=AHEAD)

    def validation(self) -> Iterator[tuple[FaceTrack, int]]:
        """Yield this process's validation videos, in the order in which they lie in its shards."""
        with closing(self._validated()) as tracks:
            yield from ahead(tracks, count=AHEAD)

    def _made(self, epoch: int, start: int) -> Generator[Batch]:
        order = np.random.default_rng([self._sampling.seed, BATCHES, epoch]).permutation(self._batches)
        given, keeps = self._quotas[:, order], self._keeps[order]  # (2, N), (N,)
        fakes, reals = (self._drawn(column, epoch, skip=int(given[column, :start].sum())) for column in (0, 1))
        with ThreadPoolExecutor(self._threads) as pool, closing(fakes), closing(reals):
            for (fake, real), keep in zip(given[:, start:].T.tolist(), keeps[start:], strict=True):
                samples = [*islice(fakes, fake), *islice(reals, real)]
                kept = to_keep(map(self._visit, samples[fake:]), self._sampling, epoch=epoch) if keep else None
                batch = collate(list(pool.map(partial(self._window, epoch, kept), samples)))
                yield batch.pin_memory() if self._pin_memory else batch

    def _visit(self, sample: Visited) -> Visit:
        return sample[1], sample[0] % self._sampling.visits

    def _window(self, epoch: int, kept: Visit | None, sample: Visited) -> Window:
        visit, members = self._visit(sample), sample[2]
        key, label = self._train[visit[0]]
        return draw(decode(key, members), self._sampling, label=label, epoch=epoch, visit=visit, plain=visit == kept)

    def _drawn(self, column: int, epoch: int, *, skip: int) -> Generator[Visited]:
        """Yield the videos of a class for an epoch, but for the first `skip`."""
        by_shard = {
            shard: [self._number[key] for key in keys if self._train[self._number[key]][1] == CLASSES[column]]
            for shard, keys in self._mine.items()
        }
        videos, left = sum(map(len, by_shard.values())), int(self._quotas[column].sum())
        passes: list[Pass] = []
        names = list(by_shard)
        while left:
            rng = np.random.default_rng([self._sampling.seed, VIDEOS, epoch, column, self._rank, len(passes)])
            shards = [names[at] for at in rng.permutation(len(names))]
            draws = shuffled([n for shard in shards for n in by_shard[shard]], hold=self._hold, rng=rng)[:left]
            passes.append(Pass(shards, draws[skip:]))
            skip, left = max(skip - len(draws), 0), left - len(draws)
        return drawn(passes, self._read, keep=videos <= self._hold)

    def _read(self, shards: list[str], numbers: set[int]) -> Generator[Sample]:
        for shard in shards:
            if keys := {key for key in self._mine[shard] if self._number[key] in numbers}:
                with closing(self._survey.samples(shard, keys)) as samples:
                    yield from ((self._number[key], members) for key, members in samples)

    def _validated(self) -> Generator[tuple[FaceTrack, int]]:
        for shard, keys in self._mine_val.items():
            with closing(self._survey.samples(shard, set(keys))) as samples:
                for key, members in samples:
                    yield decode(key, members), self._val[key]


def dealt(survey: Survey, keys: Iterable[str], *, world: int) -> list[dict[str, list[str]]]:
    """Deal shards to processes, so that each has about as many of some videos.

    Returns:
        For each process, its shards in order, each with those of the videos that it holds in order.
    """
    wanted = set(keys)
    by_shard: dict[str, list[str]] = {}
    for key, shard in survey.shard_of.items():
        if key in wanted:
            by_shard.setdefault(shard, []).append(key)
    parts: list[dict[str, list[str]]] = [{} for _ in range(world)]
    filled = [0] * world
    for shard in sorted(by_shard, key=lambda shard: (-len(by_shard[shard]), shard)):
        least = filled.index(min(filled))
        parts[least][shard] = by_shard[shard]
        filled[least] += len(by_shard[shard])
    return [dict(sorted(part.items())) for part in parts]
