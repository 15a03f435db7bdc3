from dataclasses import dataclass, field

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from conftest import make_track, write_tracks
from dualface.device import Device
from dualface.errors import TrainingError
from dualface.params import LossParams, TrainParams
from dualface.shards.read import Shards
from dualface.train import fit

CPU = Device(torch.device("cpu"), torch.float32)


@dataclass
class World:
    """Bright fakes and dark reals: what any detector learns in a few steps."""

    shards: Shards
    train: dict[str, int] = field(default_factory=lambda: {f"t{i}": int(i % 4 == 0) for i in range(12)})
    val: dict[str, int] = field(default_factory=lambda: {f"v{i}": int(i % 2 == 0) for i in range(6)})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    labels = World(None).train | World(None).val
    tracks = (make_track(k, count=6, side=32, fake=bool(y), seed=i) for i, (k, y) in enumerate(labels.items()))
    write_tracks(folder, tracks, shard_bytes=10**9)
    return World(Shards(folder))


LOSS = {"gamma": 0.15, "p": 2, "alpha": 0.5, "beta": 0.5}
TRAIN = {
    "seed": 0,
    "backbone": "resnet18",
    "weights": "none",
    "frames": 3,
    "stride": 2,
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 0.001,
    "schedule": "one_cycle",
    "flip": True,
}


def run(world, *, loss=None, train=None, **splits):
    seen = []
    result = fit(
        world.shards,
        splits.get("train_labels", world.train),
        splits.get("val_labels", world.val),
        loss=LossParams.model_validate(LOSS | (loss or {})),
        train=TrainParams.model_validate(TRAIN | (train or {})),
        device=CPU,
        loaders=0,
        progress=seen.append,
    )
    assert seen == result.history
    return result


@pytest.fixture(scope="module")
def trained(world):
    return run(world)


def test_it_learns_what_is_easy_and_keeps_the_best_epoch(trained):
    assert trained.validation["video_auc"] >= 0.9
    assert trained.validation["frame_auc"] >= 0.9
    ranks = [row["val_video_auc"] + row["val_frame_auc"] for row in trained.history]
    assert trained.epoch == 1 + ranks.index(max(ranks))
    assert [row["epoch"] for row in trained.history] == [1, 2, 3]
    assert all(0 < threshold < 1 for threshold in trained.thresholds.values())


def test_every_batch_had_pairs(trained):
    assert [row["without_pairs"] for row in trained.history] == [0, 0, 0]


def test_the_same_seed_gives_the_same_weights(world, trained):
    again = run(world)
    assert again.history == trained.history
    assert all(torch.equal(again.state[name], tensor) for name, tensor in trained.state.items())


def test_another_gamma_gives_another_model(world, trained):
    other = run(world, loss={"gamma": 0.9}, train={"epochs": 1})
    assert other.history[0]["loss"] != trained.history[0]["loss"]


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("split", ["train_labels", "val_labels"])
def test_a_split_of_one_class_is_refused_with_its_numbers(world, split, only):
    labels = {key: only for key in world.val}
    with pytest.raises(TrainingError, match=f"{6 * (1 - only)} real and {6 * only} fake"):
        run(world, **{split: labels})


def test_a_loss_that_is_not_finite_stops_with_the_videos(world, tmp_path):
    state = resnet18(weights=None).state_dict()
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(TrainingError, match=r"the loss is nan in the batch of t\d"):
        run(world, train={"weights": str(tmp_path / "broken.safetensors")})
