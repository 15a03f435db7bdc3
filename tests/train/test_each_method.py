"""Each method through training: its batches, its loss, and what comes out."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dualface.errors import TrainingError
from dualface.methods import METHODS, figure_levels
from dualface.models.make import make
from dualface.processes import ALONE
from dualface.train.fit import fit
from world import CPU, World, feed_of, loss_params, run, run_killed, train_params

SMALL = {"init": "torch", "epochs": 1, "frame_batch": 12, "batch_size": 4}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("shards")).write()


@pytest.mark.parametrize("name", [name for name in METHODS if name != "dsp_fwa"])
def test_each_method_trains_with_its_own_loss(world, name):
    trained = run(world, loss={"name": "own"}, train={"method": name, **SMALL})
    levels = figure_levels(METHODS[name].levels)
    assert set(trained.best.thresholds) == set(levels)
    assert set(trained.best.validation) == {f"{level}_auc" for level in levels}
    assert np.isfinite(trained.history[0]["loss"])


def test_dsp_fwa_trains_on_the_smallest_faces_that_it_takes(tmp_path):
    few = World(tmp_path, train={"t0": 1, "t1": 0}, val={"v0": 1, "v1": 0}, side=161).write()
    settings = {"method": "dsp_fwa", "init": "torch", "epochs": 1, "frame_batch": 2, "frames": 1, "stride": 1}
    trained = run(few, loss={"name": "own"}, train=settings)
    assert np.isfinite(trained.history[0]["loss"])
    assert set(trained.best.thresholds) == {"video", "video_max", "frame"}


@pytest.mark.parametrize("loss", ["joint", "focal", "bce"])
@pytest.mark.parametrize("name", ["meso4", "capsule", "cnn_lstm"])
def test_any_method_with_one_score_takes_any_loss(world, name, loss):
    trained = run(world, loss={"name": loss}, train={"method": name, **SMALL})
    level = METHODS[name].levels[0]
    assert f"{level}_{'auc' if loss == 'joint' else loss}_loss" in trained.history[0]


def test_a_method_learns_what_is_easy(world):
    settings = {"method": "meso4", "init": "torch", "epochs": 10, "learning_rate": 0.01, "frame_batch": 12}
    trained = run(world, loss={"name": "bce"}, train=settings)
    assert trained.best.validation["frame_auc"] > 0.95


def test_an_epoch_of_frames_takes_each_face_once_and_both_classes_in_each_batch(world):
    loss, train = loss_params(name="own"), train_params(method="meso4", init="torch", flip=False, frame_batch=12)
    feed = feed_of(world, loss, train)
    seen = []
    for batch in feed.epoch(1, start=0):
        assert 0 < int(batch.frame_label.sum()) < len(batch.faces) <= 12
        faces = batch.faces.split(batch.lengths.tolist())
        seen += [(key, face.numpy().tobytes()) for key, part in zip(batch.keys, faces, strict=True) for face in part]
    reals = [one for one in seen if world.train[one[0]] == 0]
    assert len(reals) == len(set(reals)) == 9 * 6  # fakes are repeated where there are too few for all batches
    assert len(set(seen)) == 12 * 6


def test_bbns_batches_have_as_many_windows_of_a_reversed_sampler_where_fakes_are_as_frequent_as_reals(world):
    loss, train = loss_params(name="own"), train_params(method="bbn", init="torch", frame_batch=12)
    feed = feed_of(world, loss, train)
    halves = [[], []]
    for epoch in range(1, 30):
        for batch in feed.epoch(epoch, start=0):
            assert len(batch.keys) % 2 == 0
            for half, drawn in zip(halves, batch.video_label.chunk(2), strict=True):
                half.extend(drawn.tolist())
    assert np.mean(halves[0]) < 0.45  # 3 of 12 videos, and at least one in each batch
    assert np.mean(halves[1]) == pytest.approx(0.75, abs=0.05)  # the rarer class in proportion to the other's number


def test_bbn_goes_on_in_the_middle_of_an_epoch_with_the_batches_that_were_left(world):
    loss, train = loss_params(name="own"), train_params(method="bbn", init="torch", frame_batch=12)
    whole = [batch.keys for batch in feed_of(world, loss, train).epoch(2, start=0)]
    assert [batch.keys for batch in feed_of(world, loss, train).epoch(2, start=3)] == whole[3:]


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("dual", "dsp_fwa")])
def test_a_killed_training_of_each_method_gives_the_same_weights_whatever_its_layers_draw(world, tmp_path, name):
    settings = {"loss": {"name": "own"}, "train": {"method": name, **SMALL}}
    whole, again = run(world, **settings), run_killed(world, step=1, folder=tmp_path, **settings)
    assert again.history == whole.history
    assert all(torch.equal(again.best.state[key], tensor) for key, tensor in whole.best.state.items())


def test_faces_of_another_size_are_refused_before_a_step(world):
    loss, train = loss_params(), train_params()
    outside = {"snapshots": None, "stop": lambda: False, "progress": lambda _: None}
    with pytest.raises(TrainingError, match=r"have 32 px, and faces.input_size is 64; run `dvc repro faces`"):
        fit(feed_of(world, loss, train), input_size=64, loss=loss, train=train, device=CPU, processes=ALONE, **outside)


def test_a_frozen_trunk_is_not_trained(world, tmp_path):
    train = train_params(method="capsule", init="torch")
    state = make(train.spec(32)).state_dict()
    save_file(state, tmp_path / "capsule.safetensors")
    init = str(tmp_path / "capsule.safetensors")
    trained = run(world, loss={"name": "own"}, train={"method": "capsule", **SMALL, "init": init}).best.state
    same = {name for name, tensor in trained.items() if torch.equal(tensor, state[name])}
    assert {name for name in state if ".trunk." in name} <= same
    assert "network.route_weights" not in same
