"""From an official-looking file to weights that a training starts from."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.models import resnet18

import golden
from dualface import methods
from dualface.errors import CheckpointError
from dualface.methods import METHODS
from dualface.models.make import make
from dualface.models.meso import Meso4
from dualface.official import convert, keras


def as_keras(path, network, *, first=1):
    """Write MesoNet's weights as Keras does, from the network's own tensors."""
    with h5py.File(path, "w") as file:

        def add(layer, **arrays):
            for name, array in arrays.items():
                file.create_dataset(f"{layer}/{layer}/{name}:0", data=array.detach().numpy())

        for number, layer in enumerate(network.convolutions, first):
            add(f"conv2d_{number}", kernel=layer.weight.permute(2, 3, 1, 0), bias=layer.bias)
        for number, norm in enumerate(network.norms, first):
            names = {"gamma": norm.weight, "beta": norm.bias}
            names |= {"moving_mean": norm.running_mean, "moving_variance": norm.running_var}
            add(f"batch_normalization_{number}", **names)
        for number, layer in enumerate(network.dense, first):
            add(f"dense_{number}", kernel=layer.weight.T, bias=layer.bias)


@pytest.fixture
def meso(tmp_path):
    torch.manual_seed(0)
    network = Meso4(64)
    as_keras(tmp_path / "Meso4.h5", network)
    return network, tmp_path / "Meso4.h5"


def test_a_keras_file_becomes_weights_with_a_card_that_a_training_starts_from(meso, tmp_path):
    network, source = meso
    state, imported = convert.convert("meso4", source)
    out = tmp_path / "out" / "meso4.safetensors"
    convert.write(out, state, imported)
    assert (imported.input_size, imported.missing) == (64, [])
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["source"] == "Meso4.h5"
    assert len(card["source_sha256"]) == 64
    with safe_open(out, framework="pt") as file:
        assert file.metadata() == {"method": "meso4"}
    spec = methods.spec("meso4", backbone="none", temporal="none", levels="both", input_size=64)
    started = make(spec, init=str(out))
    for name, parameter in network.named_parameters():
        assert torch.equal(started.get_parameter(f"network.{name}"), parameter), name
    first = out.read_bytes(), out.with_suffix(".json").read_bytes()
    convert.write(out, *convert.convert("meso4", source))
    assert (out.read_bytes(), out.with_suffix(".json").read_bytes()) == first


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["dual", "cnn_gru"])
def test_torchvisions_resnet_becomes_the_backbone_of_the_dual_family(tmp_path, name, legacy):
    network = resnet18()
    torch.save(network.state_dict(), tmp_path / "r.pth", _use_new_zipfile_serialization=not legacy)
    state, imported = convert.convert(name, tmp_path / "r.pth")
    assert torch.equal(state["backbone.conv1.weight"], network.conv1.weight)
    assert not any("fc" in key for key in state)
    assert "video_head" in imported.missing
    assert "backbone.conv1" not in imported.missing


@pytest.mark.parametrize("name", ["xception", "capsule", "bbn", "dsp_fwa", "dual", "cnn_lstm"])
def test_the_published_networks_names_are_understood(shared, tmp_path, name):
    files = {"xception": "xception_ff", "capsule": "capsule_v2", "bbn": "bbn_res50_64", "dsp_fwa": "dsp_fwa_spp50"}
    files |= {"dual": "ours_gru_dual"}
    facts, _ = golden.load(shared, files.get(name, name))
    whole, _ = golden.load(shared, "ours_gru_dual")
    manifest = facts["manifest"]
    if name == "capsule":
        manifest = manifest["capsule"]
    if name == "cnn_lstm":
        manifest = [one for one in whole["manifest"] if one["name"].startswith("cnn.")] + manifest
    official = {f"module.{key}": tensor for key, tensor in golden.synthfill(manifest).items()}
    torch.save({"epoch": 3, "state_dict": official}, tmp_path / "w.pth")
    state, imported = convert.convert(name, tmp_path / "w.pth")
    assert all(layer.startswith("network.trunk.") for layer in imported.missing)
    assert bool(imported.missing) == (name == "capsule")
    assert len(state) == imported.tensors > 30


def test_weights_of_another_network_say_whose_they_may_be(meso):
    with pytest.raises(CheckpointError, match=r"does not fit bbn: of \d+ tensors .*; it fits meso4$"):
        convert.convert("bbn", meso[1])


@pytest.mark.parametrize("length", [0, 7, 100, 2000, 10_000])
def test_truncated_and_other_files_are_refused_in_one_line(meso, tmp_path, length):
    (tmp_path / "part").write_bytes(meso[1].read_bytes()[:length])
    with pytest.raises(CheckpointError, match="part") as caught:
        convert.convert("meso4", tmp_path / "part")
    assert "\n" not in str(caught.value)


def test_what_is_not_there_and_what_is_not_known_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=f"'magic' is unknown; known: {', '.join(METHODS)}"):
        convert.convert("magic", tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        convert.convert("bbn", tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="a folder; give the file of weights in it"):
        convert.convert("bbn", tmp_path)


def test_weights_that_are_no_numbers_are_refused(meso):
    with h5py.File(meso[1], "r+") as file:
        file["dense_1/dense_1/bias:0"][0] = float("nan")
    with pytest.raises(CheckpointError, match="1 with NaN or infinite numbers; first: network.dense.0.bias"):
        convert.convert("meso4", meso[1])


def as_float64(meso, tmp_path, name, value):
    """The network's tensors as safetensors of the official names, one of them in float64 with another value."""
    state = keras.read(meso[1])
    state[name] = torch.full(state[name].shape, value, dtype=torch.float64)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("dense_1/bias", 1e300, "1 with NaN or infinite numbers; first: network.dense.0.bias"),  # not, in float32
        (
            "batch_normalization_1/moving_variance",
            -1.0,
            "1 with negative variances; first: network.norms.0.running_var",
        ),
    ],
)
def test_numbers_that_the_network_can_not_hold_are_refused(meso, tmp_path, name, value, words):
    with pytest.raises(CheckpointError, match=words):
        convert.convert("meso4", as_float64(meso, tmp_path, name, value))


def test_what_does_not_fit_is_not_cast(meso, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "to", lambda *_args, **_options: pytest.fail("memory was taken"))
    save_file({"norms.0.num_batches_tracked": torch.zeros(100, dtype=torch.uint8)}, tmp_path / "large.safetensors")
    with pytest.raises(CheckpointError, match="does not fit meso4"):
        convert.convert("meso4", tmp_path / "large.safetensors")


def test_a_file_that_is_too_large_for_a_network_is_not_read(tmp_path):
    with (tmp_path / "large.safetensors").open("wb") as file:
        file.write(b"\x02\0\0\0\0\0\0\0{}")
        file.truncate(3 * 2**30)
    with pytest.raises(CheckpointError, match="larger than 2,147,483,648 bytes"):
        convert.convert("meso4", tmp_path / "large.safetensors")


def test_a_converted_file_is_not_converted_again(meso, tmp_path):
    convert.write(tmp_path / "w.safetensors", *convert.convert("meso4", meso[1]))
    with pytest.raises(CheckpointError, match="is converted already, for meso4; train.init takes it as it is"):
        convert.convert("meso4", tmp_path / "w.safetensors")


@pytest.mark.parametrize("kind", ["folder", "text", "json", "link"])
def test_what_lies_beside_is_not_replaced_and_nothing_is_written(meso, tmp_path, kind):
    card = tmp_path / "out" / "w.json"
    card.parent.mkdir()
    match kind:
        case "folder":
            card.mkdir()
        case "link":
            card.symlink_to("nowhere")
        case _:
            card.write_text('{"mine": 1}' if kind == "json" else "mine")
    with pytest.raises(CheckpointError, match="w.json: holds something else"):
        convert.write(card.with_suffix(".safetensors"), *convert.convert("meso4", meso[1]))
    assert list(card.parent.iterdir()) == [card]


def test_converting_once_more_gives_the_same_bytes(meso, tmp_path):
    written = []
    for _ in range(2):
        convert.write(tmp_path / "w.safetensors", *convert.convert("meso4", meso[1]))
        written.append([(tmp_path / f"w.{end}").read_bytes() for end in ("safetensors", "json")])
    assert written[0] == written[1]


def test_a_name_that_is_no_text_is_written_out(meso, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xff.h5"))
    meso[1].rename(odd)
    state, imported = convert.convert("meso4", odd)
    convert.write(tmp_path / "w.safetensors", state, imported)
    assert json.loads((tmp_path / "w.json").read_text())["source"] == "M\\udcff.h5"
    convert.told(imported, out=Path(os.fsdecode(b"w\xff.safetensors"))).encode()


def test_a_place_that_cannot_be_written_is_told_in_one_line(meso):
    with pytest.raises((CheckpointError, OSError)) as caught:
        convert.write(Path("/proc/w.safetensors"), *convert.convert("meso4", meso[1]))
    assert "/proc/w.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_out_of_a_keras_file_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dense_1"] = h5py.ExternalLink("other.h5", "/secret")
    with pytest.raises(CheckpointError, match="dense_1 is a link"):
        keras.read(tmp_path / "a.h5")


@pytest.mark.parametrize("data", [np.array([b"text"]), np.array([1, 2])])
def test_a_keras_file_holds_numbers(tmp_path, data):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dense_1/kernel:0"] = data
    with pytest.raises(CheckpointError, match="no plain numbers"):
        keras.read(tmp_path / "a.h5")


def test_a_small_file_that_claims_to_hold_very_much_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("dense_1/kernel:0", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    with pytest.raises(CheckpointError, match="more than"):
        keras.read(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["Meso4", "MesoInception4"])
def test_mesonets_official_weights_part_the_sample_images_as_the_official_code_does(shared, tmp_path, name):
    _, want = golden.load(shared, "mesonet/mesonet")
    source = shared / "golden" / "mesonet" / f"{name.removesuffix('4') if 'I' in name else name}_DF.h5"
    convert.write(tmp_path / "w.safetensors", *convert.convert(name.lower(), source))
    spec = methods.spec(name.lower(), backbone="none", temporal="none", levels="both", input_size=256)
    model = make(spec, init=str(tmp_path / "w.safetensors")).eval()
    faces = torch.from_numpy(want["in256_u8"])
    with torch.inference_mode():
        score = torch.sigmoid(model(faces, torch.tensor([len(faces)]), frames=len(faces)).frame[0])
    official = 1 - torch.from_numpy(want[f"out256_{name}_DF"]).flatten()  # its sigmoid is P(real)
    torch.testing.assert_close(score, official, rtol=0, atol=1e-6)
    if name == "Meso4":
        assert score[:2].min() > 0.5 > score[2:4].max()
