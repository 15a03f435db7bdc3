import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from dualface.device import Device
from dualface.errors import CheckpointError, Stopped, TrainingError
from dualface.models.backbone import cnn4
from dualface.train import snapshot
from dualface.train.fit import check
from dualface.train.snapshot import Snapshots
from world import Killed, World, loss_params, run, train_params


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("shards")).write()


@pytest.fixture(scope="module")
def trained(world):
    return run(world)


def same(one, other):
    assert one.history == other.history
    assert one.best.epoch == other.best.epoch
    assert one.best.thresholds == other.best.thresholds
    assert one.best.state.keys() == other.best.state.keys()
    return all(torch.equal(one.best.state[name], tensor) for name, tensor in other.best.state.items())


def test_it_learns_what_is_easy_and_keeps_the_best_epoch(trained):
    best = trained.best
    assert best.validation["video_auc"] >= 0.9
    assert best.validation["frame_auc"] >= 0.9
    ranks = [row["val_video_auc"] + row["val_frame_auc"] for row in trained.history]
    assert best.epoch == 1 + ranks.index(max(ranks))
    assert [row["epoch"] for row in trained.history] == [1, 2, 3]
    assert all(0 < threshold < 1 for threshold in best.thresholds.values())
    assert 0 < trained.waited < trained.worked


def test_every_batch_had_pairs_and_their_number_is_told(trained):
    for row in trained.history:
        assert row["without_pairs"] == 0
        assert row["video_pairs"] == 3  # 1 fake x 3 reals in each batch
        assert row["frame_pairs"] == 27


@pytest.mark.parametrize(
    ("name", "terms"),
    [("bce", {"bce"}), ("focal", {"focal"}), ("joint", {"bce", "auc"})],
)
def test_the_loss_is_the_one_that_is_named(world, name, terms):
    (row,) = run(world, loss={"name": name}, train={"epochs": 1}).history
    assert {column for column in row if column.startswith("video") and column.endswith("loss")} == {
        f"video_{term}_loss" for term in terms
    }


def test_without_pairs_in_the_loss_a_batch_may_be_of_one_class_and_that_is_told(world):
    (row,) = run(world, loss={"name": "bce"}, train={"epochs": 1, "batch_size": 2}).history
    assert 0 < row["without_pairs"] < 1


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(world, trained):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    assert same(run(world), trained)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_gamma_gives_another_model(world, trained):
    other = run(world, loss={"gamma": 0.9}, train={"epochs": 1})
    assert other.history[0]["loss"] != trained.history[0]["loss"]


def test_recomputing_gives_the_same_weights(world, trained):
    assert same(run(world, device=Device(torch.device("cpu"), torch.float32, recompute=True)), trained)


def test_pieces_of_a_batch_train_too(world):
    pieces = run(world, train={"micro_batch": 8, "epochs": 1})
    assert np.isfinite(pieces.history[0]["loss"])


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("split", [0, 1])
def test_a_split_of_one_class_is_refused_with_its_numbers(world, split, only):
    labels = [world.train, world.val]
    labels[split] = dict.fromkeys(world.val, only)
    with pytest.raises(TrainingError, match=f"{6 * (1 - only)} real and {6 * only} fake"):
        check(*labels)


def test_a_loss_that_is_not_finite_stops_with_the_videos_and_leaves_the_last_snapshot(world, tmp_path):
    state = resnet18(weights=None).state_dict()
    state["conv1.weight"] = state["conv1.weight"] * 1e38
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(TrainingError, match=r"the loss is nan in the batch of t\d"):
        run(world, train={"weights": str(tmp_path / "broken.safetensors")}, snapshots=Snapshots(tmp_path, seconds=0))
    assert not (tmp_path / "snapshot.safetensors").exists()


@pytest.mark.parametrize("rate", [0, 0.1])
def test_a_backbone_that_was_given_learns_slowly_or_not_at_all_also_after_a_kill(world, tmp_path, rate):
    given = {f"backbone.{name}": tensor for name, tensor in cnn4().state_dict().items()}
    save_file(given, tmp_path / "given.safetensors")
    changes = {"backbone": "cnn4", "weights": str(tmp_path / "given.safetensors"), "backbone_rate": rate}

    def die(place):
        if place.epoch == 2:
            raise Killed

    whole = run(world, train=changes)
    with pytest.raises(Killed):
        run(world, train=changes, snapshots=Snapshots(tmp_path, seconds=0), progress=die)
    assert same(run(world, train=changes, snapshots=Snapshots(tmp_path)), whole)
    stayed = [torch.equal(whole.best.state[name], tensor) for name, tensor in given.items()]
    assert all(stayed) if rate == 0 else not any(stayed)


def test_self_blends_are_fakes_to_the_loss_of_training_alone(world):
    blended = run(world, train={"self_blend": 0.5, "epochs": 1})
    plain = run(world, train={"epochs": 1})
    assert blended.history[0]["video_pairs"] != plain.history[0]["video_pairs"]
    assert np.isfinite(blended.history[0]["val_video_auc"])


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
@pytest.mark.parametrize("steps", [1, 3, 5, 9])  # of 3 epochs with 3 steps: within one, at its end, in the last
def test_a_killed_training_goes_on_as_if_nothing_had_been(world, trained, tmp_path, steps, schedule):
    def die(place):
        if (place.epoch - 1) * 3 + place.batch > steps:
            raise Killed

    changes = {"schedule": schedule}
    whole = trained if schedule == "one_cycle" else run(world, train=changes)
    with pytest.raises(Killed) if steps < 9 else pytest.MonkeyPatch.context():
        run(world, train=changes, snapshots=Snapshots(tmp_path, seconds=0), progress=die)
    assert (tmp_path / "snapshot.safetensors").is_file()
    seen = []
    again = run(world, train=changes, snapshots=Snapshots(tmp_path), progress=lambda p: seen.append((p.epoch, p.batch)))
    assert (1, 1) not in seen[1:]  # the first is where it goes on
    assert same(again, whole)


KILLED = """
import sys
sys.path[:0] = [{tests!r}]
import torch
torch.set_num_threads(1)
from pathlib import Path
from world import World, run
from dualface.train.snapshot import Snapshots
run(World(Path({shards!r})), snapshots=Snapshots(Path({work!r}), seconds=0),
    progress=lambda place: print(place.epoch, place.batch, flush=True))
"""


def test_kill_nine_costs_nothing_but_time(world, trained, tmp_path):
    code = KILLED.format(tests=str(Path(__file__).parents[1]), shards=str(world.folder), work=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == "2 2\n":
                process.kill()
    assert process.returncode == -9
    assert same(run(world, snapshots=Snapshots(tmp_path)), trained)


@pytest.mark.parametrize("after", [1, 4, 12])
def test_asked_to_stop_it_saves_and_says_where(world, trained, tmp_path, after):
    asked = iter([False] * after)
    with pytest.raises(Stopped, match=r"in epoch \d, after \d of 3 batches; the same command goes on"):
        run(world, snapshots=Snapshots(tmp_path), stop=lambda: next(asked, True))
    assert same(run(world, snapshots=Snapshots(tmp_path)), trained)


def test_a_snapshot_of_another_training_is_refused(world, tmp_path):
    def stop():
        return True

    with pytest.raises(Stopped):
        run(world, snapshots=Snapshots(tmp_path), stop=stop)
    with pytest.raises(CheckpointError, match="not of this training"):
        run(world, train={"backbone": "resnet34"}, snapshots=Snapshots(tmp_path))


def test_the_work_folder_is_of_these_settings_data_and_code_alone(tmp_path):
    loss, train = loss_params(), train_params()
    names = {
        snapshot.identity(loss, train, "a"),
        snapshot.identity(loss, train, "b"),
        snapshot.identity(loss_params(gamma=0.3), train, "a"),
        snapshot.identity(loss, train_params(seed=1), "a"),
    }
    assert len(names) == 4
    assert snapshot.identity(loss_params(), train_params(), "a") in names
    given = tmp_path / "w.safetensors"
    for content in (b"a", b"b"):
        given.write_bytes(content)
        names.add(snapshot.identity(loss, train_params(init=str(given)), "a"))
    assert len(names) == 6  # another file by the same name is another training


@pytest.mark.parametrize(
    "change",
    [{"epoch": "x"}, {"epoch": 0}, {"batch": -3}, {"sums": {}}, {"sums": {"loss": []}}, {"history": [3]}, {"best": 1}],
)
def test_a_snapshot_with_odd_facts_is_refused(world, tmp_path, change):
    with pytest.raises(Killed):
        run(world, snapshots=Snapshots(tmp_path, seconds=0), progress=die_after(1))
    tensors, facts = Snapshots(tmp_path).load()
    facts["place"].update(change)
    Snapshots(tmp_path).save(tensors, facts)
    with pytest.raises(CheckpointError, match="the snapshot is not of this training .*; delete it to start anew"):
        run(world, snapshots=Snapshots(tmp_path))


def die_after(steps):
    def die(place):
        if place.batch > steps:
            raise Killed

    return die
