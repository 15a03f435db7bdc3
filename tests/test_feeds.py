import subprocess
import sys
from multiprocessing import active_children

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_track, write_tracks
from dualface.batches import epoch_batches
from dualface.errors import ShardError, TrainingError
from dualface.feeds import EpochSampler, RandomFeed, naming_deaths
from dualface.shards.read import Shards
from dualface.windows import Sampling

TRAIN = {f"t{i:02d}": int(i % 5 == 0) for i in range(20)}
VAL = {f"v{i}": int(i % 2 == 0) for i in range(5)}


def sampling(*, batch_size=6, fewest=True, flip=False, seed=0):
    return Sampling(frames=3, stride=2, flip=flip, batch_size=batch_size, fewest=fewest, seed=seed)


def sampler(video_labels, *, rank=0, world=1, **changes):
    return EpochSampler(video_labels, sampling(**changes), rank=rank, world=world)


def test_epochs_differ_and_repeat_from_the_seed():
    one, again = (sampler([0, 1] * 20, batch_size=8, seed=3) for _ in range(2))
    first = list(one)
    assert first == list(again)
    one.epoch = again.epoch = 1
    assert list(one) == list(again)
    assert [n for batch in one for _, n, _ in batch] != [n for batch in first for _, n, _ in batch]
    assert len(one) == len(first)


@given(
    real=st.integers(1, 40),
    fake=st.integers(1, 40),
    batch_size=st.integers(2, 12),
    both=st.booleans(),
    world=st.integers(1, 4),
)
def test_the_parts_of_all_processes_are_the_batch(real, fake, batch_size, both, world):
    video_labels = [0] * real + [1] * fake
    batches = epoch_batches(
        np.array(video_labels) == 1, batch_size=batch_size, fewest=both, rng=np.random.default_rng([0, 0, 0])
    )
    fewest = min(map(len, batches))
    if fewest < world:
        with pytest.raises(TrainingError, match=f"{world} processes share batches of as few as {fewest} videos"):
            sampler(video_labels, batch_size=batch_size, fewest=both, world=world)
        return
    samplers = [sampler(video_labels, batch_size=batch_size, fewest=both, rank=r, world=world) for r in range(world)]
    parts = [list(one) for one in samplers]
    assert {len(one) for one in (*samplers, *parts)} == {len(batches)}
    for whole, *mine in zip(batches, *parts, strict=True):
        assert all(mine)
        assert sorted(number for part in mine for _, (number, _), _ in part) == sorted(whole)


@pytest.mark.parametrize("start", [0, 1, 3, 9])
def test_a_later_start_gives_the_tail(start):
    one = sampler(list(TRAIN.values()), batch_size=3)
    one.epoch = 4
    whole = list(one)
    one.start = start
    assert list(one) == whole[start:]


@pytest.mark.parametrize("video_labels", [[0, 0], [1, 1], []])
def test_a_class_that_is_missing_is_told(video_labels):
    with pytest.raises(TrainingError, match="both classes are needed"):
        sampler(video_labels)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    tracks = (make_track(k, count=7, fake=bool(y), seed=i) for i, (k, y) in enumerate((TRAIN | VAL).items()))
    write_tracks(folder, tracks, shard_bytes=40_000)
    return Shards(folder)


def feed(shards, *, loaders=0, rank=0, world=1, val_labels=VAL, **changes):
    return RandomFeed(
        shards, TRAIN, val_labels, sampling(**changes), loaders=loaders, rank=rank, world=world, pin_memory=False
    )


def as_bytes(batches):
    return [(batch.keys, batch.faces.numpy().tobytes(), batch.lengths.tolist()) for batch in batches]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on machines of one core
def test_loader_processes_change_nothing(shards):
    alone, helped = feed(shards, flip=True), feed(shards, flip=True, loaders=2)
    assert as_bytes(helped.epoch(1, start=0)) == as_bytes(alone.epoch(1, start=0))
    for one, other in zip(helped.validation(), alone.validation(), strict=True):
        assert (one[0].key, one[1]) == (other[0].key, other[1])
        assert np.array_equal(one[0].faces, other[0].faces)
    half = helped.epoch(2, start=0)
    next(half)
    half.close()
    assert as_bytes(helped.epoch(2, start=2)) == as_bytes(alone.epoch(2, start=0))[2:]
    assert len(active_children()) == 2


def test_an_epoch_has_as_many_batches_as_its_feed_is_long(shards):
    assert len(list(feed(shards).epoch(1, start=0))) == len(feed(shards)) == 4


def test_validation_is_shared_out_in_order(shards):
    whole = [(track.key, label) for track, label in feed(shards).validation()]
    assert whole == list(VAL.items())
    parts = [[(track.key, label) for track, label in feed(shards, rank=r, world=2).validation()] for r in range(2)]
    assert parts == [whole[::2], whole[1::2]]


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_missing_video_is_told_in_one_line(shards, loaders):
    with pytest.raises(ShardError) as caught:
        list(feed(shards, loaders=loaders, val_labels={"none": 1}).validation())
    assert str(caught.value) == "sample 'none' is not in the shards; run `dvc repro faces subset`"


# In a process of its own: torch tells of a death wherever the main thread is, which may be the next test.
DIES = """
import os, signal, sys
from multiprocessing import active_children
from pathlib import Path
from dualface.windows import Sampling
from dualface.errors import TrainingError
from dualface.feeds import RandomFeed, naming_deaths
from dualface.shards.read import Shards
if __name__ == "__main__":
    labels = {{f"k{{n:02d}}": n % 2 for n in range(60)}}
    sampling = Sampling(frames=3, stride=2, flip=False, batch_size=2, fewest=1, seed=0)
    place = {{"rank": 0, "world": 1, "pin_memory": False}}
    feed = RandomFeed(Shards(Path({shards!r})), labels, {{}}, sampling, loaders=1, **place)
    try:
        with naming_deaths():
            batches = feed.epoch(1, start=0)
            next(batches)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would tell of it twice, at any two moments
            for child in active_children():
                os.kill(child.pid, signal.SIGKILL)
            list(batches)
    except TrainingError as error:
        print(error, flush=True)
    os._exit(0)
"""


def test_a_loader_process_that_dies_is_told_in_one_line(tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    write_tracks(shards, [make_track(f"k{n:02d}", fake=bool(n % 2)) for n in range(60)], shard_bytes=10**9)
    script = tmp_path / "dies.py"
    script.write_text(DIES.format(shards=str(shards)))
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    assert "want of memory; set DUALFACE_WORKERS lower" in told
    assert told.count("\n") == 1


def test_other_errors_are_not_taken_for_a_death():
    with pytest.raises(RuntimeError, match="something else"), naming_deaths():
        raise RuntimeError("something else")
