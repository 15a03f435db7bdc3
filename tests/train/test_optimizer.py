"""Which parameters learn, and how fast."""

import pytest

from dualface.models.dual import DualNet
from dualface.models.meso import Meso4
from dualface.train.optimizer import optimizer_of
from world import train_params


def rates(optimizer):
    return {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}


def test_all_learn_at_one_rate_where_nothing_else_is_asked_for():
    for model in (DualNet("cnn4"), Meso4(32)):
        optimizer, _ = optimizer_of(model, train_params(schedule="constant", learning_rate=0.01), steps=10)
        assert rates(optimizer) == {id(one): 0.01 for one in model.parameters()}


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_the_backbone_learns_at_its_own_rate_all_along(schedule):
    model = DualNet("cnn4")
    train = train_params(schedule=schedule, learning_rate=0.01, backbone_rate=0.1)
    optimizer, scheduler = optimizer_of(model, train, steps=10)
    for step in range(10):
        found = rates(optimizer)
        assert set(found) == {id(one) for one in model.parameters()}
        rate = scheduler.get_last_lr()[0]
        assert {found[id(one)] for one in model.rnn.parameters()} == {rate}
        assert [found[id(one)] for one in model.backbone.parameters()] == [pytest.approx(0.1 * rate)] * 12
        assert (rate == 0.01) or schedule == "one_cycle"
        optimizer.step()
        if step < 9:
            scheduler.step()


def test_what_is_frozen_is_left_out():
    model = DualNet("cnn4")
    model.freeze_backbone()
    optimizer, _ = optimizer_of(model, train_params(backbone_rate=0, weights="given.safetensors"), steps=10)
    assert set(rates(optimizer)) == {
        id(one) for part in (model.rnn, model.frame_head, model.video_head) for one in part.parameters()
    }
