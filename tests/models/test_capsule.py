from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.models.vgg import VGG19_Weights, cfgs, make_layers

import golden
from dualface.errors import CheckpointError
from dualface.models.capsule import Capsule, Statistics, from_official, route, squash

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def official(shared):
    """The network with the weights of the golden file, and the file's arrays."""
    facts, arrays = golden.load(shared, "capsule_v2")
    weights = {}
    for part in ("vgg", "capsule"):
        weights |= golden.synthfill(facts["manifest"][part], facts["weights_sha256"][part])
    network = Capsule()
    network.load_state_dict(from_official(weights))
    network.freeze_trunk()
    return network.eval(), arrays


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Capsule().eval()


def random_pixels(count: int, side: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_official_weights_give_the_official_class_capsules(official):
    network, arrays = official
    small = golden.pixels(arrays["in64_u8"], **IMAGENET)
    large = golden.pixels(np.random.RandomState(0).randint(0, 256, (2, 300, 300, 3), dtype=np.uint8), **IMAGENET)
    with torch.inference_mode():
        golden.close(network.trunk(small), arrays["vgg_feat64_f32"], atol=1e-4)
        for pixels, size in ((small, 64), (large, 300)):
            classes = network.classes(pixels)
            golden.close(classes, arrays[f"out{size}_z_f32"])
            golden.close(classes.softmax(2).mean(1), arrays[f"out{size}_class_f32"])
            score = network(pixels).sigmoid().mean(1)
            golden.close(score, arrays[f"out{size}_class_f32"][:, 1])
        golden.close(network.classes(small[:1]), arrays["out64_b1_z_f32"])


def test_the_official_loss_and_its_gradient_agree(official):
    network, arrays = official
    labels = torch.tensor([0.0, 1.0])
    logits = network(golden.pixels(arrays["in64_u8"], **IMAGENET))
    loss = binary_cross_entropy_with_logits(logits, labels[:, None].expand(-1, 4), reduction="none").mean(0).sum()
    loss.backward()
    golden.close(loss.double(), arrays["loss64_labels01"])
    golden.close(network.route_weights.grad, arrays["grad_route_weights_f32"])


def test_the_recorded_train_step_agrees(official, monkeypatch):
    network, arrays = official
    noise = torch.from_numpy(arrays["train_noise_unit_normal"])
    kept = torch.from_numpy(arrays["train_dropmask"]).squeeze(-1).float()
    monkeypatch.setattr(network, "draw", lambda count: (noise, kept[:count]))
    pixels = golden.pixels(arrays["train_in_u8"], **IMAGENET)
    classes = network.train().classes(pixels)
    golden.close(classes, arrays["train_out_z_f32"])
    golden.close(classes.softmax(2).mean(1), arrays["train_out_class_f32"])


def test_the_network_has_the_published_number_of_parameters(network):
    trunk = sum(parameter.numel() for parameter in network.trunk.parameters())
    assert trunk == 2_325_568
    assert sum(parameter.numel() for parameter in network.parameters()) - trunk == 1_571_070


def test_the_sum_of_binary_cross_entropies_is_the_official_loss(network):
    labels = torch.tensor([0, 1, 1])
    with torch.inference_mode():
        classes, logits = network.classes(random_pixels(3)), network(random_pixels(3))
    theirs = sum(cross_entropy(classes[:, part], labels) for part in range(4))
    ours = sum(binary_cross_entropy_with_logits(logits[:, part], labels.float()) for part in range(4))
    torch.testing.assert_close(ours, theirs)


def test_a_face_scores_the_same_alone_and_among_others(network):
    pixels = random_pixels(3)
    with torch.inference_mode():
        together, alone = network(pixels), network(pixels[:1])
    assert together.shape == (3, 4)
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-6)


def test_channels_last_changes_nothing_and_logits_keep_their_precision_under_autocast(network):
    pixels = random_pixels(2)
    with torch.inference_mode():
        torch.testing.assert_close(
            network(pixels.to(memory_format=torch.channels_last)), network(pixels), rtol=1e-4, atol=1e-6
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert network(pixels).dtype == torch.float32


def test_squashing_shortens_and_keeps_the_direction():
    vectors = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    torch.testing.assert_close(
        squash(vectors), torch.tensor([[0.6, 0.8], [0.6, 0.8]]) * torch.tensor([[25 / 26], [0.2]])
    )


def test_zeros_stay_zeros_with_a_gradient():
    vectors = torch.zeros(2, 4, requires_grad=True)
    squash(vectors).sum().backward()
    assert not squash(vectors).any()
    assert torch.isfinite(vectors.grad).all()


def test_primary_capsules_are_squashed_across_capsules(network):
    pixels = random_pixels(2)
    with torch.inference_mode():
        maps = network.trunk(pixels)
        primary = torch.stack([capsule(maps) for capsule in network.capsules], dim=-1)
        classes = network.classes(pixels)
        across = route(squash(primary), network.route_weights)
        within = route(squash(primary.transpose(1, 2)).transpose(1, 2), network.route_weights)
    torch.testing.assert_close(classes, across)
    assert not torch.allclose(classes, within, rtol=0.1, atol=0)


def test_routing_takes_the_product_component_by_component():
    generator = torch.Generator().manual_seed(0)
    primary, weights = torch.randn(1, 8, 10, generator=generator), torch.randn(2, 10, 4, 8, generator=generator)
    wanted = torch.empty(1, 4, 2)
    for cls in range(2):
        given = torch.stack([weights[cls, i] @ primary[0, :, i] for i in range(10)])  # (10, 4)
        agreed = squash(given.mean(0))
        share = (given * agreed).softmax(0)  # each component has its own shares
        wanted[0, :, cls] = squash((share * given).sum(0))
    torch.testing.assert_close(route(primary, weights), wanted)


def test_the_spread_over_space_is_unbiased():
    maps = torch.tensor([1.0, 2.0, 6.0, 3.0]).view(1, 1, 2, 2)
    torch.testing.assert_close(Statistics()(maps)[0, :, 0], torch.tensor([3.0, (14 / 3) ** 0.5]))


def test_training_disturbs_and_scoring_does_not():
    torch.manual_seed(0)
    network, pixels = Capsule(), random_pixels(4)
    before = torch.random.get_rng_state()
    first, second = network(pixels), network(pixels)
    assert not torch.equal(first, second)
    torch.random.set_rng_state(before)
    assert torch.equal(network(pixels), first)
    network.eval()
    assert torch.equal(network(pixels), network(pixels))


def test_one_noise_for_the_batch_and_dropped_predictions_without_compensation(network):
    torch.manual_seed(0)
    noise, kept = network.draw(200)
    assert noise.shape == network.route_weights.shape
    assert kept.shape == (200, 2, 10, 4)
    assert set(kept.unique().tolist()) == {0, 1}
    assert float(kept.mean()) == pytest.approx(0.95, abs=0.01)
    assert float(noise.std()) == pytest.approx(1, abs=0.1)


def test_the_noise_is_a_hundredth_and_what_is_kept_keeps_its_size(monkeypatch):
    torch.manual_seed(0)
    network, pixels = Capsule(), random_pixels(4)
    noise, kept = network.draw(4)
    monkeypatch.setattr(network, "draw", lambda _: (noise, kept))
    maps = network.trunk(pixels)
    primary = squash(torch.stack([capsule(maps) for capsule in network.capsules], dim=-1))
    wanted = route(primary, network.route_weights + 0.01 * noise, kept=kept)
    torch.testing.assert_close(network.classes(pixels), wanted)
    assert not torch.allclose(wanted, route(primary, network.route_weights), rtol=1e-3, atol=0)


def test_without_any_prediction_nothing_is_agreed_and_half_of_each_counts_half():
    generator = torch.Generator().manual_seed(0)
    primary, weights = torch.randn(1, 8, 10, generator=generator), torch.randn(2, 10, 4, 8, generator=generator)
    kept = torch.ones(1, 2, 10, 4)
    assert not route(primary, weights, kept=0 * kept).any()
    assert torch.equal(route(primary, weights, kept=0.5 * kept), route(primary, 0.5 * weights))


def test_gradients_reach_every_parameter_of_a_network_from_a_random_start():
    torch.manual_seed(0)
    network = Capsule()
    network(random_pixels(4)).square().sum().backward()
    for name, parameter in network.named_parameters():
        # Of a bias before normalisation by the batch only rounding is left.
        assert parameter.grad is not None, name
        if not name.endswith(("0.bias", "3.bias", "7.bias", "9.bias")):
            assert parameter.grad.abs().sum() > 0, name


def test_a_frozen_trunk_stays_as_it_is():
    network = Capsule()
    network.freeze_trunk()
    network.train()
    assert not network.trunk.training
    assert network.capsules.training
    network(random_pixels(2)).sum().backward()
    assert all(parameter.grad is None for parameter in network.trunk.parameters())
    assert network.route_weights.grad is not None


def test_imagenet_weights_are_those_of_vgg19_and_freeze_the_trunk(monkeypatch):
    whole = {f"features.{name}": tensor for name, tensor in make_layers(cfgs["E"][:13]).state_dict().items()}
    whole["classifier.0.weight"] = torch.zeros(1)
    monkeypatch.setattr(VGG19_Weights, "get_state_dict", lambda *_, **__: whole)
    network = Capsule(imagenet=True)
    assert torch.equal(network.trunk[16].weight, whole["features.16.weight"])
    assert not any(parameter.requires_grad for parameter in network.trunk.parameters())


def test_a_failed_download_is_one_line_that_says_what_to_do(monkeypatch):
    def fail(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(VGG19_Weights, "get_state_dict", fail)
    with pytest.raises(CheckpointError, match=r"^train.weights: ImageNet .* capsule .*no network.*`none`[^\n]*$"):
        Capsule(imagenet=True)


def test_official_names_are_mapped_unknown_ones_stay_and_missing_ones_raise_nothing():
    one = torch.zeros(1)
    names = ["fea_ext.capsules.3.10.weight", "routing_stats.route_weights", "vgg_1.16.bias", "strange.weight"]
    assert list(from_official(dict.fromkeys(names, one))) == [
        "capsules.3.10.weight",
        "route_weights",
        "trunk.16.bias",
        "strange.weight",
    ]
    assert from_official({}) == {}
