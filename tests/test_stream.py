from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_track, write_tracks
from dualface.batches import count_batches
from dualface.errors import ShardError, TrainingError
from dualface.feeds import RandomFeed
from dualface.shards.read import Shards
from dualface.shards.stream import Store, Survey, survey
from dualface.stream import Pass, StreamFeed, drawn, quotas, shuffled
from dualface.windows import Sampling

PARTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=4)


@given(parts=PARTS, batch_size=st.integers(2, 12), both=st.booleans())
def test_quotas_give_each_video_its_turns_and_each_batch_both_classes(parts, batch_size, both):
    owned = np.array(parts)
    fakes, reals = owned.sum(axis=0).tolist()
    if not fakes or not reals:
        return
    is_fake = np.array([True] * fakes + [False] * reals)
    batches = count_batches(is_fake, batch_size=batch_size, fewest=both)
    given = quotas(owned, batches=batches, fewest=both)
    lengths = given.sum(axis=(0, 1))
    assert lengths.max() <= batch_size
    assert lengths.max() - lengths.min() <= 1
    for column, videos in enumerate((fakes, reals)):
        turns = given[:, column].sum(axis=1)
        assert turns.sum() == (max(videos, batches) if both else videos)
        often = turns.sum() // videos
        assert (turns >= often * owned[:, column]).all()
        assert (turns <= (often + 1) * owned[:, column]).all()
        if both:
            assert given[:, column].sum(axis=0).min() >= 1


@given(count=st.integers(0, 80), hold=st.integers(1, 20), seed=st.integers(0, 5))
def test_a_shuffle_needs_no_more_than_its_buffer(count, hold, seed):
    order = shuffled(list(range(count)), hold=hold, rng=np.random.default_rng(seed))
    assert sorted(order) == list(range(count))
    reading = [0]

    def read(_, numbers):
        for number in range(count):
            if number in numbers:
                reading[0] += 1
                yield number, {}

    for used, (_, number, _) in enumerate(drawn([Pass([], order)], read, keep=False)):
        assert number == order[used]
        assert reading[0] - used <= hold


def test_a_buffer_shuffles_as_far_as_it_reaches():
    order = shuffled(list(range(1000)), hold=100, rng=np.random.default_rng(0))
    moved = np.array(order) - np.arange(1000)
    assert moved.max() < 100  # none is drawn before it was read
    assert np.abs(moved).mean() > 30


def test_a_small_class_is_read_once_however_often_it_is_drawn():
    reads = []

    def read(_, numbers):
        reads.append(numbers)
        yield from ((number, {}) for number in sorted(numbers))

    passes = [Pass([], [2, 0, 1]), Pass([], [1, 2, 0]), Pass([], [0])]
    order = [(visit, number) for visit, number, _ in drawn(passes, read, keep=True)]
    assert order == [(0, 2), (0, 0), (0, 1), (1, 1), (1, 2), (1, 0), (2, 0)]
    assert list(chain.from_iterable(reads)) == [0, 1, 2]


class Watched(Survey):
    """Notes what is read."""

    def samples(self, shard, keys):
        for key, members in super().samples(shard, keys):
            READ.append(key)
            yield key, members


READ: list[str] = []
TRAIN = {f"r{i:03d}": 0 for i in range(60)} | {f"f{i}": 1 for i in range(2)}
VAL = {f"v{i}": i % 2 for i in range(5)}


def written(folder, keys):
    labels = TRAIN | VAL
    tracks = (make_track(key, count=4, fake=bool(labels[key]), seed=i) for i, key in enumerate(keys))
    write_tracks(folder, tracks, shard_bytes=20_000)
    found = survey(Store(str(folder)), labels, threads=1)
    return Watched(found.store, found.shard_of, found.hash_of)


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    """The worst order there is: all real videos, then the few fakes."""
    return written(tmp_path_factory.mktemp("by_class"), [*TRAIN, *VAL])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    order = np.random.default_rng(3).permutation(sorted(TRAIN | VAL)).tolist()
    return written(tmp_path_factory.mktemp("mixed"), order)


SAMPLING = {"frames": 3, "stride": 1, "flip": True, "batch_size": 8, "fewest": True, "seed": 0}


def feed(found, *, rank=0, world=1, shuffle_videos=10, train_labels=TRAIN, **changes):
    place = {"rank": rank, "world": world, "pin_memory": False}
    sampling = Sampling(**{**SAMPLING, **changes})
    return StreamFeed(found, train_labels, VAL, sampling, shuffle_videos=shuffle_videos, threads=2, **place)


def keys(batches):
    return [batch.keys for batch in batches]


@pytest.mark.parametrize("layout", ["by_class", "mixed"])
@pytest.mark.parametrize("shuffle_videos", [1, 10, 1000])
def test_each_batch_holds_both_classes_and_each_video_comes_as_promised(request, layout, shuffle_videos):
    stream = feed(request.getfixturevalue(layout), shuffle_videos=shuffle_videos)
    batches = list(stream.epoch(1, start=0))
    assert len(batches) == len(stream) == 9
    for batch in batches:
        assert 0 < batch.video_label.sum() < len(batch.keys) <= 8
        assert batch.video_label.tolist() == [TRAIN[key] for key in batch.keys]
    times = Counter(chain.from_iterable(keys(batches)))
    assert {times[key] for key, label in TRAIN.items() if not label} == {1}
    assert sorted(times[key] for key, label in TRAIN.items() if label) == [4, 5]


def test_without_both_each_video_comes_once(by_class):
    stream = feed(by_class, fewest=False)
    seen = keys(stream.epoch(1, start=0))
    assert len(seen) == len(stream) == 8
    assert sorted(chain.from_iterable(seen)) == sorted(TRAIN)


def test_the_same_seed_gives_the_same_batches_and_epochs_differ(mixed):
    def seen(epoch, **changes):
        return [(b.keys, b.faces.numpy().tobytes()) for b in feed(mixed, **changes).epoch(epoch, start=0)]

    assert seen(1) == seen(1)
    assert len({str(seen(1)), str(seen(2)), str(seen(1, seed=1))}) == 3


def test_a_videos_window_is_the_one_that_random_access_gives(mixed):
    def windows(batches):
        faces = chain.from_iterable(batch.faces.split(batch.lengths.tolist()) for batch in batches)
        return {key: one.numpy().tobytes() for key, one in zip(chain.from_iterable(keys(batches)), faces, strict=True)}

    random = RandomFeed(
        Shards(Path(mixed.store.url)), TRAIN, VAL, Sampling(**SAMPLING), loaders=0, rank=0, world=1, pin_memory=False
    )
    assert windows(list(feed(mixed).epoch(3, start=0))) == windows(list(random.epoch(3, start=0)))


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("order", ["random", "stream"])
def test_a_batch_has_a_real_window_left_however_many_are_blended(mixed, order, world):
    blended = {"self_blend": 0.9, "batch_size": 4}

    def part(rank):
        if order == "stream":
            return feed(mixed, rank=rank, world=world, **blended)
        place = {"loaders": 0, "rank": rank, "world": world, "pin_memory": False}
        return RandomFeed(Shards(Path(mixed.store.url)), TRAIN, VAL, Sampling(**SAMPLING | blended), **place)

    parts = [list(part(rank).epoch(1, start=0)) for rank in range(world)]
    made_fakes = 0
    for pieces in zip(*parts, strict=True):
        reals = [
            y for piece in pieces for k, y in zip(piece.keys, piece.video_label.tolist(), strict=True) if not TRAIN[k]
        ]
        assert 0 in reals
        made_fakes += sum(reals)
    assert made_fakes > len(parts[0])


@pytest.mark.parametrize("start", [1, 4, 8, 9])
@pytest.mark.parametrize("shuffle_videos", [1, 10])
def test_a_later_start_gives_the_tail_and_reads_no_more(mixed, start, shuffle_videos):
    stream = feed(mixed, shuffle_videos=shuffle_videos)
    whole = keys(stream.epoch(2, start=0))
    READ.clear()
    assert keys(stream.epoch(2, start=start)) == whole[start:]
    assert set(READ) == set(chain.from_iterable(whole[start:]))


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("layout", ["by_class", "mixed"])
def test_the_parts_of_all_processes_are_whole_batches(request, layout, world):
    found = request.getfixturevalue(layout)
    feeds = [feed(found, rank=rank, world=world) for rank in range(world)]
    parts = [keys(one.epoch(1, start=0)) for one in feeds]
    assert {len(part) for part in parts} == {9}
    owners = [set(chain.from_iterable(part)) for part in parts]
    assert sum(map(len, owners)) == len(TRAIN)
    assert set().union(*owners) == set(TRAIN)
    for batch in zip(*parts, strict=True):
        assert all(batch)
        labels = [TRAIN[key] for part in batch for key in part]
        assert 0 < sum(labels) < len(labels) <= 8
    val = [[track.key for track, _ in one.validation()] for one in feeds]
    assert sorted(chain.from_iterable(val)) == sorted(VAL)


def test_more_processes_than_shards_are_refused(mixed):
    shards = len(set(mixed.shard_of.values()))
    with pytest.raises(TrainingError, match=f"{shards + 1} processes share {shards} shards"):
        feed(mixed, world=shards + 1)


def test_validation_gives_whole_videos_with_their_labels(mixed):
    given = {track.key: (track, label) for track, label in feed(mixed).validation()}
    assert {key: label for key, (_, label) in given.items()} == VAL
    shards = Shards(Path(mixed.store.url))
    assert all(np.array_equal(track.faces, shards.read(key).faces) for key, (track, _) in given.items())


def test_leaving_an_epoch_early_leaves_nothing_behind(mixed):
    batches = feed(mixed).epoch(1, start=0)
    next(batches)
    batches.close()  # an open file would be a ResourceWarning, and warnings are errors


def test_a_shard_that_is_cut_after_the_survey_is_told_in_one_line(tmp_path):
    found = written(tmp_path, [*TRAIN, *VAL])
    path = sorted(tmp_path.glob("*.tar"))[0]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ShardError, match="00000.tar") as caught:
        list(feed(found).epoch(1, start=0))
    assert "\n" not in str(caught.value)


def test_a_class_that_is_missing_is_told(mixed):
    with pytest.raises(TrainingError, match="60 real and 0 fake"):
        feed(mixed, train_labels={key: label for key, label in TRAIN.items() if not label})
