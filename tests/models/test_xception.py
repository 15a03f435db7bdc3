import json
from urllib.error import URLError

import pytest
import torch

import golden
from dualface.errors import CheckpointError
from dualface.models import xception
from dualface.models.xception import Xception, from_official

HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Xception().eval()


@pytest.fixture
def official(shared):
    facts, arrays = golden.load(shared, "xception_ff")
    return golden.synthfill(facts["manifest"], facts["weights_sha256"]), arrays


def random_pixels(count: int, side: int = 48) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_official_names_and_weights_give_the_official_logits(official):
    weights, arrays = official
    network = Xception().eval()
    network.load_state_dict(from_official(weights))
    large = golden.random_faces(arrays, "in299_u8", (2, 299, 299, 3))
    small = arrays["in64_u8"]
    golden.close(golden.pixels(small, **HALF), arrays["in64_norm"])
    with torch.inference_mode():
        for faces, norm, name in (
            (small, HALF, "out64_f32"),
            (small, IMAGENET, "out64_imagenetnorm_f32"),
            (large, HALF, "out299_f32"),
        ):
            pixels = golden.pixels(faces, **norm)
            golden.close(network.xception(pixels), arrays[name])
            golden.close(network(pixels), arrays[name][:, 1:] - arrays[name][:, :1])


def test_the_head_of_a_network_with_dropout_is_found(shared, official):
    weights, _ = official
    heads = json.loads((shared / "golden" / "xception_dropout05_head_keys.json").read_text())["manifest"]
    plain = {name: tensor for name, tensor in weights.items() if "last_linear" not in name}
    state = from_official(plain | golden.synthfill(heads))
    assert state.keys() == from_official(weights).keys()


def test_the_network_has_the_published_number_of_parameters(network):
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_811_050


def test_the_logit_is_that_of_the_second_class_over_the_first(network):
    with torch.inference_mode():
        both, fake = network.xception(random_pixels(3)), network(random_pixels(3))
    assert fake.shape == (3, 1)
    torch.testing.assert_close(fake[:, 0].sigmoid(), both.softmax(1)[:, 1])


def test_channels_last_changes_nothing_and_logits_keep_their_precision_under_autocast(network):
    pixels = random_pixels(2)
    with torch.inference_mode():
        torch.testing.assert_close(
            network(pixels.to(memory_format=torch.channels_last)), network(pixels), rtol=1e-4, atol=1e-5
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert network(pixels).dtype == torch.float32


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    network = Xception()
    network(random_pixels(4)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def imagenet_file(network: Xception) -> dict[str, torch.Tensor]:
    """The network's weights under the names and in the layouts of the old ImageNet file."""
    found = {}
    for name, tensor in network.xception.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            found[name] = tensor[:, :, 0, 0] if name.endswith("pointwise.weight") else tensor
    return found | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


def test_the_imagenet_file_gives_all_but_the_head(network):
    state = from_official(imagenet_file(network))
    wanted = network.state_dict()
    missing = {name for name in wanted if name not in state}
    assert {name for name in missing if not name.endswith("num_batches_tracked")} == {
        "xception.fc.weight",
        "xception.fc.bias",
    }
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in state.items())


@pytest.mark.parametrize("head", ["model.last_linear", "model.last_linear.1", "last_linear", "fc"])
def test_a_head_of_two_classes_is_taken_whatever_its_name(head):
    state = from_official({f"{head}.weight": torch.zeros(2, 2048), f"{head}.bias": torch.zeros(2)})
    assert list(state) == ["xception.fc.weight", "xception.fc.bias"]


def test_unknown_names_stay_for_the_check_and_missing_ones_raise_nothing():
    assert list(from_official({"model.strange.weight": torch.zeros(1)})) == ["xception.strange.weight"]
    assert from_official({}) == {}


def test_imagenet_weights_are_asked_of_timm_only_where_wanted(monkeypatch, network):
    asked = []

    def make(*, pretrained, num_classes):
        asked.append((pretrained, num_classes))
        return network.xception

    monkeypatch.setattr(xception, "legacy_xception", make)
    Xception()
    Xception(imagenet=True)
    assert asked == [(False, 2), (True, 2)]


def test_a_failed_download_is_one_line_that_says_what_to_do(monkeypatch):
    def fail(**_):
        raise URLError("no network")

    monkeypatch.setattr(xception, "legacy_xception", fail)
    with pytest.raises(CheckpointError, match=r"^train.weights: ImageNet .* xception .*no network.*`none`[^\n]*$"):
        Xception(imagenet=True)
