import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

import golden
from dualface.models.dsp_fwa import CLASSES, DspFwa, fits, from_official, map_side, spatial_pyramid

SMALLEST = 161  # px
MEANS = (103.939, 116.779, 123.68)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DspFwa().eval()


def random_pixels(count: int, size: int = SMALLEST) -> torch.Tensor:
    return 60 * torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_logits_agree_with_the_official_implementation(shared):
    facts, arrays = golden.load(shared, "dsp_fwa_spp50")
    official = golden.synthfill(facts["manifest"], facts["weights_sha256"])
    network = DspFwa().eval()
    network.load_state_dict(from_official(official))
    blue_first = golden.random_faces(arrays, "in224_u8", (2, 224, 224, 3)).float() - torch.tensor(MEANS)
    with torch.inference_mode():
        logits = network(blue_first.permute(0, 3, 1, 2))
    want = arrays["out224_f32"]
    golden.close(logits, want[:, :1] - want[:, 1:])


@pytest.mark.parametrize("side", [7, 12])
def test_the_pyramid_agrees_with_the_official_one(shared, side):
    _, arrays = golden.load(shared, "dsp_fwa_spp50")
    golden.close(spatial_pyramid(torch.from_numpy(arrays[f"spp_in_{side}"])), arrays[f"spp_out_{side}"])


def test_the_sizes_that_fit_are_those_of_the_official_pyramid(shared):
    facts, _ = golden.load(shared, "dsp_fwa_spp50")
    found = {int(side): length == 3 * 41 for side, length in facts["spp_output_features_for_3ch_map_of_size"].items()}
    assert {side: fits(32 * side) for side in found} == found


def test_a_size_fits_where_the_pyramid_has_as_many_windows_as_bins():
    for side in range(1, 65):
        try:
            windows = spatial_pyramid(torch.zeros(1, 1, side, side)).shape[1]
        except RuntimeError:
            windows = 0  # a step of 0
        assert fits(32 * side) == (windows == 41), side


def test_faces_of_161_to_224_px_and_a_few_larger_ranges_fit():
    sizes = [size for size in range(1, 1025) if fits(size)]
    ranges = (range(161, 225), range(353, 449), range(545, 673), range(737, 897), range(929, 1025))
    assert sizes == [size for one in ranges for size in one]


def test_the_map_has_the_side_that_is_told():
    with torch.device("meta"):
        backbone = DspFwa().eval().backbone
        for size in (16, 33, 64, 160, 161, 192, 193, 223, 224, 225, 353, 448, 449, 1000):
            assert backbone(torch.empty(1, 3, size, size)).shape[-1] == map_side(size), size


@pytest.mark.parametrize(("size", "side"), [(64, 2), (160, 5), (225, 8), (480, 15)])
def test_a_size_without_a_pyramid_is_refused_with_those_that_work(network, size, side):
    with pytest.raises(ValueError, match=f"faces of {size} px: .* map of side {side}; 161 to 224 px work"):
        network(torch.zeros(1, 3, size, size))


def test_the_parameters_are_those_that_the_official_forward_pass_uses(network):
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_675_970


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = DspFwa().train()
    network(random_pixels(2)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


def test_the_logit_is_of_the_official_class_0(network):
    before = network.classifier.bias.detach().clone()
    with torch.inference_mode():
        plain = network(random_pixels(1))
        network.classifier.bias += torch.tensor([5.0, 0.0])
        faker = network(random_pixels(1))
        network.classifier.bias.copy_(before)
    assert plain.shape == (1, 1)
    assert float(faker - plain) == pytest.approx(5, abs=1e-4)


def test_memory_layout_changes_nothing(network):
    pixels = random_pixels(2)
    with torch.inference_mode():
        plain = network(pixels)
        channels_last = network(pixels.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(channels_last, plain, rtol=1e-4, atol=1e-5)


def test_bins_come_by_level_then_channel_then_place():
    maps = torch.arange(2 * 36).view(1, 2, 6, 6).float()  # two channels, ever larger
    pooled = spatial_pyramid(maps.contiguous(memory_format=torch.channels_last))[0]
    assert pooled[:2].tolist() == [35, 71]
    assert pooled[2:10].tolist() == [14, 17, 32, 35, 50, 53, 68, 71]
    assert torch.equal(pooled[10:], maps.flatten())


def test_logits_keep_their_precision_under_autocast(network):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(random_pixels(1)).dtype == torch.float32


def test_a_torchvision_file_starts_the_backbone(tmp_path):
    torch.manual_seed(2)
    whole = resnet50(weights=None)
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    backbone = DspFwa(str(tmp_path / "weights.safetensors")).backbone.state_dict()
    assert set(backbone) == {name for name in whole.state_dict() if not name.startswith("fc.")}
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in backbone.items())


def test_official_names_are_mapped_and_what_is_not_ours_is_dropped():
    one = torch.zeros(1)
    official = {
        "resnet.resnet.layer4.2.bn3.weight": one,
        "resnet.resnet.fc.bias": torch.zeros(1000),
        "resnet.fc.weight": torch.zeros(2, 2048),
        "classifier.bias": torch.zeros(CLASSES),
        "another.weight": one,
    }
    assert set(from_official(official)) == {"backbone.layer4.2.bn3.weight", "classifier.bias", "another.weight"}
    assert from_official({"classifier.bias": torch.zeros(5), "classifier.weight": torch.zeros(5, 9)}) == {}
