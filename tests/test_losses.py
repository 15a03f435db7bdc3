import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from dualface import losses
from dualface.losses import bce_loss, dual_loss, focal_loss, joint_loss, pairwise_auc_loss

scores_and_labels = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=40)


def by_pairs(score, label, *, gamma, p):
    """Eqs. 2-3, read out loud."""
    fakes = [s for s, y in zip(score, label, strict=True) if y == 1]
    reals = [s for s, y in zip(score, label, strict=True) if y == 0]
    if not fakes or not reals:
        return 0.0
    return sum(max(0.0, gamma - (f - r)) ** p for f in fakes for r in reals) / (len(fakes) * len(reals))


def column(pairs, position):
    return torch.tensor([pair[position] for pair in pairs], dtype=torch.float64)


@given(pairs=scores_and_labels, gamma=st.floats(0, 1), p=st.sampled_from([1.5, 2.0, 3.0, 5.0]))
def test_value_is_the_double_loop_over_pairs(pairs, gamma, p):
    score, label = column(pairs, 0), column(pairs, 1)
    want = by_pairs(score.tolist(), label.tolist(), gamma=gamma, p=p)
    assert float(pairwise_auc_loss(score, label, gamma=gamma, p=p)) == pytest.approx(want, rel=1e-9, abs=1e-13)


@given(pairs=scores_and_labels, gamma=st.floats(0, 1), p=st.sampled_from([1.5, 2.0, 3.0, 4.0]))
@example(pairs=[(1.0, 0), (1.0, 1)], gamma=1e-9, p=2.0)  # its square is below what rounding leaves of the value
def test_gradient_is_that_of_the_broadcast(pairs, gamma, p):
    score, label = column(pairs, 0).requires_grad_(), column(pairs, 1)
    (fast,) = torch.autograd.grad(pairwise_auc_loss(score, label, gamma=gamma, p=p), score)
    if label.min() == label.max():
        assert torch.all(fast == 0)
        return
    hinge = (gamma - (score[label == 1][:, None] - score[label == 0][None])).clamp(min=0) ** p
    (slow,) = torch.autograd.grad(hinge.mean(), score)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-12)


@given(separation=st.floats(0, 0.84), p=st.sampled_from([2.0, 3.0]))
def test_no_digit_is_lost_where_nearly_all_pairs_keep_the_margin(separation, p):
    rng = np.random.default_rng(0)
    label = torch.arange(600) % 2
    score = torch.from_numpy(0.16 * rng.random(600)) + separation * label
    hinge = (0.15 - (score[label == 1][:, None] - score[label == 0][None])).clamp(min=0) ** p
    got = pairwise_auc_loss(score, label, gamma=0.15, p=p)
    torch.testing.assert_close(got, hinge.mean(), rtol=1e-12, atol=1e-25)


@given(pairs=scores_and_labels, gamma=st.floats(0, 1), p=st.sampled_from([1.5, 2.0]), seed=st.integers(0, 99))
def test_what_is_not_valid_counts_nowhere(pairs, gamma, p, seed):
    score, label = column(pairs, 0).requires_grad_(), column(pairs, 1)
    valid = torch.from_numpy(np.random.default_rng(seed).random(len(label)) < 0.7)
    value = pairwise_auc_loss(score, label, gamma=gamma, p=p, valid=valid)
    (slope,) = torch.autograd.grad(value, score)
    kept = score.detach()[valid].requires_grad_()
    alone = pairwise_auc_loss(kept, label[valid], gamma=gamma, p=p)
    (slope_alone,) = torch.autograd.grad(alone, kept)
    torch.testing.assert_close(value, alone, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(slope[valid], slope_alone, rtol=1e-9, atol=1e-12)
    assert torch.all(slope[~valid] == 0)


@given(pairs=scores_and_labels, seed=st.integers(0, 99))
def test_the_order_of_the_batch_does_not_matter(pairs, seed):
    score, label = column(pairs, 0), column(pairs, 1)
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(label)))
    here, there = (pairwise_auc_loss(score[o], label[o], gamma=0.3) for o in (slice(None), shuffled))
    torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-15)


def test_ties_pay_the_margin_and_nothing_at_a_margin_of_zero():
    score = torch.full((4,), 0.5, requires_grad=True)
    label = torch.tensor([1, 1, 0, 0])
    assert pairwise_auc_loss(score, label, gamma=0.2).item() == pytest.approx(0.04)
    tied = pairwise_auc_loss(score, label, gamma=0.0)
    tied.backward()
    assert tied.item() == 0.0
    assert torch.all(score.grad == 0)


@pytest.mark.parametrize("p", [1.0, 0.5, float("nan")])
def test_an_exponent_that_is_not_above_one_is_refused(p):
    with pytest.raises(ValueError, match="must be above 1"):
        pairwise_auc_loss(torch.rand(4), torch.tensor([0, 1, 0, 1]), gamma=0.1, p=p)


def test_an_empty_batch_costs_nothing():
    assert pairwise_auc_loss(torch.zeros(0), torch.zeros(0), gamma=0.1).item() == 0.0


@pytest.mark.parametrize("p", [2.0, 2.5])
def test_autocast_changes_nothing(p):
    score, label = torch.linspace(0, 1, 50), torch.arange(50) % 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = pairwise_auc_loss(score, label, gamma=0.15, p=p)
    assert within.item() == pairwise_auc_loss(score, label, gamma=0.15, p=p).item()


@pytest.mark.parametrize("p", [2.0, 2.5])
def test_many_fakes_take_several_blocks(p, monkeypatch):
    score, label = torch.linspace(0, 1, 50, dtype=torch.float64), torch.arange(50) % 2
    whole = pairwise_auc_loss(score, label, gamma=0.15, p=p)
    monkeypatch.setattr(losses, "PAIRS_AT_ONCE", 60)
    torch.testing.assert_close(pairwise_auc_loss(score, label, gamma=0.15, p=p), whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("p", [2.0, 2.5])
def test_gradcheck(p):
    rng = np.random.default_rng(0)
    score = torch.from_numpy(rng.random(12)).requires_grad_()
    label = torch.tensor([1.0, 0.0] * 6)
    assert torch.autograd.gradcheck(lambda s: pairwise_auc_loss(s, label, gamma=0.15, p=p), (score,))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_both_terms_push_a_fake_up_and_a_real_down(alpha):
    logit = torch.zeros(4, requires_grad=True)
    joint_loss(logit, torch.tensor([1, 1, 0, 0]), alpha=alpha, gamma=0.15, p=2).total.backward()
    assert torch.all(logit.grad[:2] < 0)  # descent raises the logit of a fake
    assert torch.all(logit.grad[2:] > 0)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_has_no_pairs_and_no_gradient(only):
    logit = torch.randn(5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = joint_loss(logit, torch.full((5,), only), alpha=0, gamma=0.15, p=2)
    loss.total.backward()
    assert loss.pairs == 0
    assert loss.terms["auc"].item() == 0.0
    assert torch.all(logit.grad == 0)


def test_pairs_that_keep_the_margin_cost_nothing():
    score = torch.tensor([0.9, 0.8, 0.1, 0.2], requires_grad=True)
    loss = pairwise_auc_loss(score, torch.tensor([1, 1, 0, 0]), gamma=0.15)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.all(score.grad == 0)


def test_gamma_zero_runs_and_charges_only_wrong_order():
    label = torch.tensor([1, 0])
    assert float(pairwise_auc_loss(torch.tensor([0.6, 0.4]), label, gamma=0)) == 0
    assert float(pairwise_auc_loss(torch.tensor([0.4, 0.6]), label, gamma=0)) == pytest.approx(0.04, rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 1), (1, 4), (3,), ()])
def test_shapes_that_would_broadcast_are_refused(shape):
    with pytest.raises(ValueError, match="vectors of one length"):
        pairwise_auc_loss(torch.zeros(shape), torch.zeros(4), gamma=0.15)
    with pytest.raises(ValueError, match="vectors of one length"):
        joint_loss(torch.zeros(shape), torch.zeros(4), alpha=0.5, gamma=0.15, p=2)


@pytest.mark.parametrize("label", [[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]])
@pytest.mark.parametrize("p", [2.0, 2.5])
def test_nan_is_not_hidden(label, p):
    score = torch.tensor([float("nan"), 0.5, 0.9])
    assert torch.isnan(pairwise_auc_loss(score, torch.tensor(label), gamma=0.15, p=p))


def test_half_precision_logits_are_computed_in_full():
    logit = torch.tensor([8.0, 7.9, -8.0, 0.1])
    label = torch.tensor([1, 0, 0, 1])
    half = joint_loss(logit.bfloat16(), label, alpha=0.3, gamma=0.15, p=2)
    full = joint_loss(logit.bfloat16().float(), label, alpha=0.3, gamma=0.15, p=2)
    assert half.total.dtype == torch.float32
    assert float(half.total) == float(full.total)


def test_levels_and_terms_are_weighed_by_beta_and_alpha():
    video_logit, frame_logit = torch.tensor([0.3, -0.2]), torch.tensor([0.5, 0.1, -0.7])
    video_label, frame_label = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    video = joint_loss(video_logit, video_label, alpha=0.4, gamma=0.2, p=2)
    frame = joint_loss(frame_logit, frame_label, alpha=0.4, gamma=0.2, p=2)

    def level(logit, label):
        auc = by_pairs(torch.sigmoid(logit).tolist(), label.tolist(), gamma=0.2, p=2)
        return 0.4 * float(binary_cross_entropy_with_logits(logit, label)) + 0.6 * auc

    want = 0.7 * level(video_logit, video_label) + 0.3 * level(frame_logit, frame_label)
    assert float(dual_loss({"video": video, "frame": frame}, beta=0.7)) == pytest.approx(want, rel=1e-5)


def test_focal_loss_is_its_formula():
    logit, label = torch.tensor([0.3, -0.2, 2.0]), torch.tensor([1.0, 0.0, 1.0])
    score = torch.sigmoid(logit)
    right = torch.where(label == 1, score, 1 - score)
    weight = torch.where(label == 1, 0.6, 0.4)
    want = (-weight * (1 - right) ** 2 * right.log()).mean()
    loss = focal_loss(logit, label, alpha=0.6, exponent=2)
    torch.testing.assert_close(loss.total, want)
    assert loss.terms["focal"] is loss.total
    assert int(loss.pairs) == 2


@pytest.mark.parametrize(
    "loss",
    [
        bce_loss,
        lambda logit, label, **keywords: focal_loss(logit, label, alpha=0.6, exponent=2, **keywords),
        lambda logit, label, **keywords: joint_loss(logit, label, alpha=0.5, gamma=0.15, p=2, **keywords),
    ],
)
def test_padding_counts_in_no_loss(loss):
    logit, label = torch.tensor([0.3, -0.2, 2.0, 0.1]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    padded = loss(
        torch.cat([logit, torch.tensor([50.0, -50.0])]),
        torch.cat([label, torch.tensor([-1.0, -1.0])]),
        valid=torch.tensor([True] * 4 + [False] * 2),
    )
    plain = loss(logit, label)
    torch.testing.assert_close(padded.total, plain.total)
    assert int(padded.pairs) == int(plain.pairs) == 4


def test_a_second_derivative_is_refused_not_zero():
    score = torch.tensor([0.4, 0.5], requires_grad=True)
    loss = pairwise_auc_loss(score, torch.tensor([1, 0]), gamma=0.15)
    (slope,) = torch.autograd.grad(loss.square(), score, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
