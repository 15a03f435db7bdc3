import pytest
import torch

from dualface.losses import joint_loss
from dualface.models.dual import DualNet
from dualface.models.pieces import in_pieces, recompute_blocks


@pytest.fixture
def faces():
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (25, 32, 32, 3), dtype=torch.uint8, generator=rng)


def made(backbone="resnet18"):
    torch.manual_seed(0)
    return DualNet(backbone)


def gradients(model, faces, *, at_once):
    lengths, label = torch.tensor([10, 10, 5]), torch.tensor([1, 0, 0])
    logits = model(faces, lengths, frames=10, at_once=at_once)
    loss = joint_loss(logits.video, label, alpha=0.2, gamma=0.5, p=2).total
    loss = loss + joint_loss(logits.frame.flatten(), label.repeat_interleave(10), alpha=0.2, gamma=0.5, p=2).total
    model.zero_grad()
    loss.backward()
    return loss.detach(), {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("at_once", [8, 13, 25, 1000])
def test_in_evaluation_mode_pieces_give_the_loss_and_gradient_of_the_whole_batch(faces, at_once):
    model = made().eval()
    want_loss, want = gradients(model, faces, at_once=None)
    loss, got = gradients(model, faces, at_once=at_once)
    torch.testing.assert_close(loss, want_loss, rtol=1e-5, atol=1e-7)
    for name, gradient in want.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(got[name], gradient, rtol=1e-5, atol=1e-5 * scale, msg=name)


def test_in_training_a_piece_is_normalised_by_itself_and_counted_once(faces):
    whole, pieces = made().train(), made().train()
    gradients(whole, faces, at_once=None)
    gradients(pieces, faces, at_once=9)  # 9 + 8 + 8
    assert int(whole.backbone.bn1.num_batches_tracked) == 1
    assert int(pieces.backbone.bn1.num_batches_tracked) == 3
    by_hand = made().train()
    with torch.no_grad():
        for piece in faces.tensor_split(3):
            by_hand.features(piece)
    for name, average in by_hand.named_buffers():
        assert torch.equal(pieces.get_buffer(name), average), name


def test_blocks_that_recompute_change_no_digit(faces):
    whole, again = made().train(), made().train()
    recompute_blocks(again.backbone)
    (want_loss, want), (loss, got) = (gradients(model, faces, at_once=None) for model in (whole, again))
    assert torch.equal(loss, want_loss)
    assert all(torch.equal(got[name], gradient) for name, gradient in want.items())
    assert all(torch.equal(again.get_buffer(name), buffer) for name, buffer in whole.named_buffers())
    assert whole.state_dict().keys() == again.state_dict().keys()


def held_bytes(compute):
    """What is kept for the gradient, in bytes, while the features exist."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        features = compute()
    assert features.requires_grad
    return sum(kept.values())


def test_pieces_keep_less(faces):
    model = made().train()
    own = sum(one.untyped_storage().nbytes() for one in (*model.parameters(), *model.buffers()))
    whole = held_bytes(lambda: model.features(faces))
    pieces = held_bytes(lambda: in_pieces(model.features, faces, at_once=8, network=model.backbone))
    assert pieces < (whole - own) / 10


def test_without_gradient_nothing_is_split(faces):
    calls = []
    with torch.no_grad():
        in_pieces(lambda piece: calls.append(len(piece)) or piece, faces, at_once=8, network=torch.nn.Identity())
    assert calls == [25]
