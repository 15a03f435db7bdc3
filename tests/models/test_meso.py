import hashlib

import numpy as np
import pytest
import torch
from torch import nn

import golden
from dualface.models.meso import BatchNorm, Meso4, MesoInception4, from_official
from dualface.models.pieces import still

NETWORKS = {"Meso4": Meso4, "MesoInception4": MesoInception4}
FILES = {"Meso4": "Meso4_DF.h5", "MesoInception4": "MesoInception_DF.h5"}
both = pytest.mark.parametrize("name", NETWORKS)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def random_pixels(count: int, side: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def official_file(shared, name: str) -> dict[str, torch.Tensor]:
    import h5py  # noqa: PLC0415

    found = {}
    with h5py.File(shared / "golden" / "mesonet" / FILES[name]) as file:
        for layer in file.attrs["layer_names"]:
            for weight in file[layer].attrs["weight_names"]:
                found[weight.decode().removesuffix(":0")] = torch.from_numpy(file[layer][weight][()])
    return found


def with_official_weights(shared, name: str) -> nn.Module:
    network = NETWORKS[name](256)
    network.load_state_dict(from_official(official_file(shared, name)))
    return network.eval()


def faces_as_pixels(faces: np.ndarray) -> torch.Tensor:
    return golden.pixels(faces, mean=(0, 0, 0), std=(1, 1, 1))


@both
def test_official_weights_give_the_official_probabilities(shared, name):
    facts, arrays = golden.load(shared, "mesonet/mesonet")
    file = shared / "golden" / "mesonet" / FILES[name]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == facts["files"][FILES[name]]["sha256"]
    with torch.inference_mode():
        fake = with_official_weights(shared, name)(faces_as_pixels(arrays["in256_u8"]))
    golden.close((-fake).sigmoid(), arrays[f"out256_{name}_DF"], rtol=0, atol=1e-6)


@both
def test_official_weights_know_the_official_fakes(shared, name):
    _, arrays = golden.load(shared, "mesonet/mesonet")
    with torch.inference_mode():
        fake = with_official_weights(shared, name)(faces_as_pixels(arrays["in256_u8"][:4])).squeeze(1)
    assert (fake > 0).tolist() == [True, True, False, False]


@both
def test_the_probabilities_agree_at_64_px(shared, name):
    _, arrays = golden.load(shared, "mesonet/mesonet")
    official = {key: value for key, value in official_file(shared, name).items() if not key.startswith("dense")}
    for layer, part in enumerate(("fc1", "fc2"), start=1):
        official[f"dense_{layer}/bias"] = torch.from_numpy(arrays[f"dense64_{part}_bias"])
    official["dense_1/kernel"] = torch.from_numpy(arrays["dense64_fc1_kernel_HWCflat"])
    official["dense_2/kernel"] = torch.from_numpy(arrays["dense64_fc2_kernel"])
    network = NETWORKS[name](64).eval()
    network.load_state_dict(from_official(official))
    with torch.inference_mode():
        fake = network(faces_as_pixels(arrays["in64_u8"]))
    golden.close((-fake).sigmoid(), arrays[f"out64_{name}"], rtol=0, atol=1e-6)


# Of 24,576 pixels, PyTorch's variance would be off by 3e-5 in Meso4, and by less than the rounding in the other.
@pytest.mark.parametrize(("name", "rtol"), [("Meso4", 1e-5), ("MesoInception4", 3e-5)])
def test_a_training_step_moves_the_statistics_as_keras_does(shared, name, rtol):
    _, arrays = golden.load(shared, "mesonet/mesonet")
    network = with_official_weights(shared, name)
    norm = network.norms[0].train()
    with torch.no_grad():
        normalised = norm(network.convolve(faces_as_pixels(arrays["in64_u8"]), 0))
    first = normalised.permute(0, 2, 3, 1).flatten()[:64]
    golden.close(first, arrays[f"bn1_train64_{name}_first"])
    golden.close(norm.running_mean, arrays[f"bn1_moving_mean_after_{name}"], rtol=1e-6, atol=1e-7)
    golden.close(norm.running_var, arrays[f"bn1_moving_var_after_{name}"], rtol=rtol, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "side", "count"),
    [("Meso4", 256, 27_977), ("Meso4", 64, 12_617), ("MesoInception4", 256, 28_615), ("MesoInception4", 64, 13_255)],
)
def test_the_networks_have_the_published_numbers_of_parameters(name, side, count):
    assert parameters(NETWORKS[name](side)) == count


def test_the_moving_variance_takes_the_biased_variance_of_the_batch():
    norm, maps = BatchNorm(2), torch.tensor([1.0, 2.0, 6.0, 3.0]).view(2, 2, 1, 1)
    norm(maps)
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.035, 0.025]))
    torch.testing.assert_close(norm.running_var, torch.tensor([0.99 + 0.01 * 6.25, 0.99 + 0.01 * 0.25]))
    assert norm.num_batches_tracked == 1


def test_normalisation_and_its_gradient_are_pytorchs():
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3, eps=1e-3, momentum=0.01)
    results = []
    for norm in (ours, theirs):
        maps = random_pixels(4, 8).requires_grad_()
        out = norm(maps)
        out.pow(3).sum().backward()
        results.append((out, maps.grad, norm.weight.grad))
    for mine, other in zip(*results, strict=True):
        assert torch.equal(mine, other)


def test_a_second_computation_of_a_piece_leaves_the_statistics():
    norm = BatchNorm(3)
    with still(norm):
        norm(random_pixels(4, 8))
    assert torch.equal(norm.running_var, torch.ones(3))
    assert torch.equal(norm.running_mean, torch.zeros(3))
    assert norm.num_batches_tracked == 0


@both
def test_one_logit_a_face_also_of_channels_last_and_under_autocast(name):
    network = NETWORKS[name](64).eval()
    pixels = random_pixels(3)
    with torch.inference_mode():
        logits = network(pixels)
        last = network(pixels.to(memory_format=torch.channels_last))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            short = network(pixels)
    assert logits.shape == (3, 1)
    assert short.dtype == torch.float32
    torch.testing.assert_close(last, logits)


@both
def test_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    network = NETWORKS[name](64)
    network(random_pixels(8)).square().sum().backward()
    for part, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, part


@both
def test_dropout_is_for_training_only(name):
    network, pixels = NETWORKS[name](32), random_pixels(4, 32)
    assert not torch.equal(network(pixels), network(pixels))
    network.eval()
    assert torch.equal(network(pixels), network(pixels))


@both
def test_layers_start_as_in_keras(name):
    network = NETWORKS[name](64)
    for layer in (*network.convolutions, *network.dense):
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.3 * bound < layer.weight.detach().abs().max() <= bound
        assert not layer.bias.any()


def test_the_branches_of_a_stage_see_ever_wider():
    network = MesoInception4(32)
    reach = [convolution.dilation[0] * (convolution.kernel_size[0] // 2) for convolution in network.convolutions]
    assert reach == [0, 0, 1, 0, 2, 0, 3] * 2 + [2, 2]


def saved_by_keras(network: nn.Module, *, first: int) -> dict[str, torch.Tensor]:
    """The network's weights as Keras would save them, with layers numbered from `first` on."""
    kinds = {"convolutions": "conv2d", "norms": "batch_normalization", "dense": "dense"}
    statistics = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    saved = {}
    for name, tensor in network.state_dict().items():
        kind, rank, part = name.split(".")
        number = int(rank) + first
        layer = f"{kinds[kind]}_{number}" if number else kinds[kind]
        if kind == "norms" and part in statistics:
            saved[f"{layer}/{statistics[part]}"] = tensor
        elif part == "bias":
            saved[f"{layer}/bias"] = tensor
        elif part == "weight":
            saved[f"{layer}/kernel"] = tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T
    return saved


@both
@pytest.mark.parametrize("first", [0, 1, 5])
def test_layers_are_told_apart_by_number_whatever_the_order_of_the_file(name, first):
    torch.manual_seed(first)
    network, other = NETWORKS[name](64).eval(), NETWORKS[name](64).eval()
    saved = dict(sorted(saved_by_keras(network, first=first).items(), reverse=True))  # conv2d_2 before conv2d_10
    other.load_state_dict(from_official(saved))
    assert torch.equal(network(random_pixels(2)), other(random_pixels(2)))


@both
def test_what_the_file_calls_real_is_not_fake(name):
    network = NETWORKS[name](32).eval()
    saved = saved_by_keras(network, first=1)
    saved["dense_2/kernel"], saved["dense_2/bias"] = torch.zeros(16, 1), torch.full((1,), 3.0)
    network.load_state_dict(from_official(saved))
    assert network(random_pixels(1, 32)).item() == -3


def test_the_dense_layer_takes_height_width_and_channels_in_keras_order():
    network, row, column, channel = Meso4(64).eval(), 1, 0, 5
    saved = saved_by_keras(network, first=1)
    saved["dense_1/kernel"], saved["dense_1/bias"] = torch.zeros(64, 16), torch.zeros(16)
    saved["dense_1/kernel"].view(2, 2, 16, 16)[row, column, channel, 0] = 1
    saved["dense_2/kernel"], saved["dense_2/bias"] = torch.ones(16, 1), torch.zeros(1)
    network.load_state_dict(from_official(saved))
    maps = torch.zeros(1, 16, 8, 8)
    maps[0, channel, 4 * row + 2, 4 * column + 1] = 2  # the last pooling is of 4 by 4
    network.convolve = lambda before, stage: maps if stage == 3 else before
    network.norms = nn.ModuleList(nn.Identity() for _ in range(4))
    assert network(random_pixels(1)).item() == pytest.approx(-2)


def test_unknown_names_stay_for_the_check_and_missing_ones_raise_nothing():
    strange = {"lstm_1/kernel": torch.zeros(2, 2), "conv2d_3/depth": torch.zeros(1), "conv2d_3/bias": torch.ones(8)}
    assert set(from_official(strange)) == {"lstm_1/kernel", "conv2d_3/depth", "convolutions.0.bias"}
    assert from_official({}) == {}
