import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models import resnet50

import golden
from dualface.models.bbn import CLASSES, Bbn, from_official, share

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Bbn().eval()


@pytest.fixture(scope="module")
def official_network():
    from conftest import SHARED  # noqa: PLC0415

    if not SHARED.is_dir():
        pytest.skip("needs the shared folder (golden data) beside the repository")
    facts, _ = golden.load(SHARED, "bbn_res50_64")
    network = Bbn()
    network.load_state_dict(from_official(golden.synthfill(facts["manifest"], facts["weights_sha256"])))
    return network.eval()


def random_pixels(count: int, size: int = 48) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def difference(logits):
    return logits[:, 1:] - logits[:, :1]


@pytest.mark.parametrize("size", [64, 224])
@torch.inference_mode()
def test_every_output_agrees_with_the_official_implementation(official_network, shared, size):
    _, arrays = golden.load(shared, f"bbn_res50_{size}")
    faces = golden.random_faces(arrays, "in_u8", (2, size, size, 3)) if size == 224 else arrays["in_u8"]
    pixels = golden.pixels(faces, mean=MEAN, std=STD)
    golden.close(official_network(pixels), difference(arrays["out_f32"]))
    maps = official_network.backbone(pixels)
    golden.close(official_network.conventional(maps).mean((2, 3))[:, :32], arrays["feat_cb_first32"])
    golden.close(official_network.rebalancing(maps).mean((2, 3))[:, :32], arrays["feat_rb_first32"])
    mixed = official_network.mixed(torch.cat([pixels, pixels.flip(0)]), uniform=2, share=0.75)
    golden.close(mixed[:2], difference(arrays["mix_l0.75_logits"]))
    assert torch.equal(mixed[:2], mixed[2:])
    of_uniform = binary_cross_entropy_with_logits(mixed[:2, 0], torch.tensor([0.0, 1.0]))
    of_others = binary_cross_entropy_with_logits(mixed[2:, 0], torch.tensor([1.0, 0.0]))
    assert float(0.75 * of_uniform + 0.25 * of_others) == pytest.approx(float(arrays["mix_l0.75_loss"]), rel=1e-4)


def test_the_number_of_parameters_is_the_official_one(network):
    assert sum(parameter.numel() for parameter in network.parameters()) == 27_978_818


def test_every_parameter_gets_a_gradient_from_mixed_faces():
    torch.manual_seed(0)
    network = Bbn().train()
    network.mixed(random_pixels(4), uniform=2, share=0.5).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


@pytest.mark.parametrize(("weight", "silent"), [(1.0, "rebalancing"), (0.0, "conventional")])
def test_a_branch_without_a_share_learns_nothing(network, weight, silent):
    network.zero_grad()
    network.mixed(random_pixels(4), uniform=2, share=weight).sum().backward()
    for name in ("conventional", "rebalancing"):
        learns = any(bool(one.grad.any()) for one in getattr(network, name).parameters() if one.grad is not None)
        assert learns == (name != silent)


@torch.inference_mode()
def test_equal_shares_of_the_same_faces_are_the_plain_score(network):
    pixels = random_pixels(3)
    mixed = network.mixed(torch.cat([pixels, pixels]), uniform=3, share=0.5)
    torch.testing.assert_close(mixed, network(pixels).repeat(2, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("uniform", "pairs"),
    [
        (4, [(0, 0), (1, 1), (2, 0), (3, 1), (0, 0), (1, 1)]),
        (2, [(0, 0), (1, 1), (0, 0), (1, 1), (0, 2), (1, 3)]),
        (5, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 0)]),
    ],
)
@torch.inference_mode()
def test_each_face_has_the_logit_of_its_pair_whatever_the_counts(network, uniform, pairs):
    pixels = random_pixels(6)
    mixed = network.mixed(pixels, uniform=uniform, share=0.75)
    assert mixed.shape == (6, 1)
    for logit, (one, other) in zip(mixed, pairs, strict=True):
        alone = network.mixed(pixels[[one, uniform + other]], uniform=1, share=0.75)
        torch.testing.assert_close(logit, alone[0], rtol=1e-4, atol=1e-5)


def test_each_samplers_faces_are_normalised_on_their_own():
    torch.manual_seed(0)
    network = Bbn().train()
    pixels = random_pixels(4)
    with torch.no_grad():
        network.mixed(pixels, uniform=2, share=0.75)
    layer = network.backbone.bn1
    assert int(layer.num_batches_tracked) == 2
    seen = network.backbone.conv1(pixels).unflatten(0, (2, 2)).mean((1, 3, 4)).detach()  # (samplers, C)
    torch.testing.assert_close(layer.running_mean, 0.9 * 0.1 * seen[0] + 0.1 * seen[1], rtol=1e-4, atol=1e-6)
    assert int(network.conventional.bn1.num_batches_tracked) == int(network.rebalancing.bn1.num_batches_tracked) == 1


@pytest.mark.parametrize("uniform", [0, 4])
def test_a_sampler_without_faces_is_refused(network, uniform):
    with pytest.raises(ValueError, match=f"{uniform} of 4 faces are uniform"):
        network.mixed(random_pixels(4), uniform=uniform, share=0.5)


def test_the_logit_is_of_class_1(network):
    before = network.classifier.bias.detach().clone()
    with torch.inference_mode():
        plain = network(random_pixels(1))
        network.classifier.bias += torch.tensor([0.0, 5.0])
        faker = network(random_pixels(1))
        network.classifier.bias.copy_(before)
    assert float(faker - plain) == pytest.approx(5, abs=1e-4)


def test_logits_keep_their_precision_under_autocast(network):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(random_pixels(2)).dtype == torch.float32
        assert network.mixed(random_pixels(2), uniform=1, share=0.5).dtype == torch.float32


def test_the_share_falls_as_a_parabola_from_1():
    assert [share(epoch, 4) for epoch in (1, 2, 3, 4)] == [1, 0.9375, 0.75, 0.4375]
    assert share(90, 90) == pytest.approx(1 - (89 / 90) ** 2)


def test_a_torchvision_file_starts_the_backbone_without_its_last_block(tmp_path):
    torch.manual_seed(2)
    whole = resnet50(weights=None)
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    backbone = Bbn(str(tmp_path / "weights.safetensors")).backbone.state_dict()
    assert set(backbone) == {name for name in whole.state_dict() if not name.startswith(("fc.", "layer4.2."))}
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in backbone.items())


def test_official_names_are_mapped_and_a_classifier_of_species_is_dropped():
    one = torch.zeros(1)
    official = {
        "backbone.conv1.weight": one,
        "backbone.cb_block.bn3.weight": one,
        "backbone.rb_block.conv1.weight": one,
        "classifier.bias": torch.zeros(CLASSES),
        "another.weight": one,
    }
    assert list(from_official(official)) == [
        "backbone.conv1.weight",
        "conventional.bn3.weight",
        "rebalancing.conv1.weight",
        "classifier.bias",
        "another.weight",
    ]
    assert from_official({"classifier.bias": torch.zeros(8142), "classifier.weight": torch.zeros(8142, 9)}) == {}
