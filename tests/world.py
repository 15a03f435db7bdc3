"""A small world to train in: bright fakes and dark reals, what any detector learns in a few steps."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from conftest import make_track, write_tracks
from dualface.device import Device
from dualface.feeds import RandomFeed
from dualface.params import LossParams, TrainParams
from dualface.processes import ALONE
from dualface.shards.read import Shards
from dualface.train import plan
from dualface.train.fit import fit
from dualface.train.snapshot import Snapshots

CPU = Device(torch.device("cpu"), torch.float32)
LOSS = {
    "name": "joint",
    "gamma": 0.15,
    "p": 2,
    "alpha": 0.5,
    "beta": 0.5,
    "focal_alpha": 0.6,
    "focal_exponent": 2,
}
TRAIN = {
    "seed": 0,
    "method": "dual",
    "backbone": "resnet18",
    "temporal": "gru",
    "levels": "both",
    "weights": "none",
    "init": "paper",
    "backbone_rate": 1,
    "fake_share": 0,
    "self_blend": 0,
    "frames": 3,
    "stride": 2,
    "overlap": 0.5,
    "epochs": 3,
    "batch_size": 4,
    "frame_batch": 12,
    "micro_batch": None,
    "order": "random",
    "shuffle_videos": 8,
    "learning_rate": 0.001,
    "schedule": "one_cycle",
    "flip": True,
}


@dataclass
class World:
    """Shards of 12 training videos, 3 of them fake, and 6 for validation."""

    folder: Path
    train: dict[str, int] = field(default_factory=lambda: {f"t{i}": int(i % 4 == 0) for i in range(12)})
    val: dict[str, int] = field(default_factory=lambda: {f"v{i}": int(i % 2 == 0) for i in range(6)})
    side: int = 32

    def write(self):
        labels = self.train | self.val
        tracks = (
            make_track(k, count=6, side=self.side, fake=bool(y), seed=i) for i, (k, y) in enumerate(labels.items())
        )
        write_tracks(self.folder, tracks, shard_bytes=10**9)
        return self


def loss_params(**changes):
    return LossParams.model_validate(LOSS | changes)


def train_params(**changes):
    return TrainParams.model_validate(TRAIN | changes)


def feed_of(world, loss, train, *, processes=ALONE):
    sampling = plan.sampling(loss, train)
    place = {"rank": processes.rank, "world": processes.world, "pin_memory": False}
    return RandomFeed(Shards(world.folder), world.train, world.val, sampling, loaders=0, **place)


def run(world, *, loss=None, train=None, processes=ALONE, device=CPU, **outside):
    """Train in this world, with changes to its settings."""
    loss, train = loss_params(**(loss or {})), train_params(**(train or {}))
    outside = {"snapshots": None, "stop": lambda: False, "progress": lambda place: None} | outside
    feed = feed_of(world, loss, train, processes=processes)
    return fit(feed, input_size=world.side, loss=loss, train=train, device=device, processes=processes, **outside)


class Killed(Exception):
    """Stands for a kill."""


def run_killed(world, *, step, folder, **settings):
    """Train with a snapshot after each step, die after `step` of the first epoch, and train again."""

    def die(place):
        if place.batch > step:
            raise Killed

    try:
        run(world, snapshots=Snapshots(folder, seconds=0), progress=die, **settings)
    except Killed:
        return run(world, snapshots=Snapshots(folder), **settings)
    raise AssertionError("it was not killed")
