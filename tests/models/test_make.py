"""Every method's network in the clothes that training and scoring know, and the files that it starts from."""

import pytest
import torch
from safetensors.torch import save_file

from dualface import methods
from dualface.errors import CheckpointError
from dualface.methods import METHODS
from dualface.models.frame_level import FrameDetector, mean_score
from dualface.models.make import make

SIDE = {"dsp_fwa": 161}


def spec_of(name, **changes):
    settings = {"backbone": "resnet18", "temporal": "gru", "levels": "both", "input_size": SIDE.get(name, 32)}
    return methods.spec(name, **settings | changes)


def made(spec, **start):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(spec, **start)


def faces_of(spec, count):
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, spec.input_size, spec.input_size, 3), dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize("name", METHODS)
@torch.inference_mode()
def test_each_method_gives_the_levels_that_it_says(name):
    spec = spec_of(name)
    logits = made(spec).eval()(faces_of(spec, 3), torch.tensor([2, 1]), frames=3)
    assert ("video" in spec.levels) == (logits.video is not None and logits.video.shape == (2,))
    assert ("frame" in spec.levels) == (logits.frame is not None and logits.frame.shape == (2, 3))


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].levels == ("frame",)])
@torch.inference_mode()
def test_a_frame_level_methods_score_depends_on_the_face_alone(name):
    spec = spec_of(name)
    model, faces = made(spec).eval(), faces_of(spec, 3)
    together = model(faces, torch.tensor([3]), frames=3).frame[0]
    alone = [model(face[None], torch.tensor([1]), frames=1).frame[0, 0] for face in faces]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("levels", ["both", "video", "frame"])
@pytest.mark.parametrize("temporal", ["gru", "lstm", "none"])
def test_each_corner_of_the_dual_network_trains_all_that_it_has(temporal, levels):
    spec = spec_of("dual", backbone="cnn4", temporal=temporal, levels=levels)
    model = made(spec)
    logits = model(faces_of(spec, 4), torch.tensor([3, 1]), frames=3)
    sum(one.sum() for one in (logits.video, logits.frame) if one is not None).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert [logits.video is not None, logits.frame is not None] == [levels != "frame", levels != "video"]


# What the authors' code makes of a pixel of red 255, green 0 and blue 51.
IMAGENET_PIXEL = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
PIXELS = {
    **dict.fromkeys(("dual", "cnn_gru", "cnn_lstm", "capsule", "bbn"), IMAGENET_PIXEL),
    **dict.fromkeys(("meso4", "mesoinception4"), [1, 0, 0.2]),
    "xception": [1, -1, -0.6],
    "dsp_fwa": [51 - 103.939, -116.779, 255 - 123.68],
}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_given_the_pixels_that_its_authors_give(name):
    spec = spec_of(name)
    detector, given = made(spec).eval(), []
    network = detector.network if isinstance(detector, FrameDetector) else detector.backbone
    network.register_forward_pre_hook(lambda _module, inputs: given.append(inputs[0]))
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8)
    with torch.inference_mode():
        detector(pixel.expand(1, spec.input_size, spec.input_size, 3), torch.tensor([1]), frames=1)
    assert given[0].shape == (1, 3, spec.input_size, spec.input_size)
    assert given[0][0, :, 0, 0].tolist() == pytest.approx(PIXELS[name], rel=1e-5)


def test_the_score_of_components_is_the_mean_of_their_probabilities_also_far_out():
    components = torch.tensor([[0.3, -1.0, 2.0, 0.1], [80.0, 80.0, 80.0, 81.0]])
    near = torch.sigmoid(components[0].double()).mean()
    assert float(mean_score(components)[0]) == pytest.approx(float(torch.logit(near)), rel=1e-5)
    assert 79 < float(mean_score(components)[1]) < 82
    assert torch.equal(mean_score(components[:, :1]), components[:, 0])


def test_bbn_in_training_mixes_two_halves_and_weighs_them():
    spec = spec_of("bbn")
    model = made(spec).train()
    model.share = 0.75
    logits = model(faces_of(spec, 6), torch.tensor([2, 1, 1, 2]), frames=2)
    assert logits.weight.tolist() == [0.75, 0.75, 0.25, 0.25]
    mixed = [*logits.frame[0], logits.frame[1, 0], logits.frame[2, 0], *logits.frame[3]]
    first, second = (sorted(float(logit.detach()) for logit in half) for half in (mixed[:3], mixed[3:]))
    assert first == pytest.approx(second, rel=1e-5)  # each face of one half has the logit of its pair
    model.eval()
    assert model(faces_of(spec, 2), torch.tensor([1, 1]), frames=1).weight is None


def saved(path, spec, **metadata):
    model = made(spec)
    save_file({name: tensor + 1 for name, tensor in model.state_dict().items()}, path, metadata=metadata)
    return model


@pytest.mark.parametrize("name", ["meso4", "dual", "cnn_gru", "bbn"])
def test_all_layers_start_from_a_file(tmp_path, name):
    spec = spec_of(name)
    before = saved(tmp_path / "a.safetensors", spec, method=name)
    model = make(spec, init=str(tmp_path / "a.safetensors"))
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[key] + 1), key


def test_a_head_that_the_file_lacks_starts_anew(tmp_path):
    spec = spec_of("bbn")
    state = {key: one + 1 for key, one in made(spec).state_dict().items() if ".classifier." not in key}
    save_file(state, tmp_path / "a.safetensors")
    model = made(spec, init=str(tmp_path / "a.safetensors"))
    assert torch.equal(model.network.classifier.bias, made(spec).network.classifier.bias)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"method": "xception"}, "weights of xception, and train.method is meso4"),
        ({"method": "\x1b[2J"}, r"weights of \\x1b\[2J, and train.method is meso4"),
        ({}, "does not fit meso4: of 32 tensors .* unknown.*; first: "),
    ],
)
def test_weights_of_another_method_are_refused(tmp_path, told, words):
    saved(tmp_path / "a.safetensors", spec_of("bbn"), **told)
    with pytest.raises(CheckpointError, match=words) as caught:
        make(spec_of("meso4"), init=str(tmp_path / "a.safetensors"))
    assert "\n" not in str(caught.value)


def test_weights_for_another_size_name_the_layer(tmp_path):
    saved(tmp_path / "a.safetensors", spec_of("meso4", input_size=64))
    with pytest.raises(CheckpointError, match=r"dense.*\(16, 64\) instead of \(16, 16\)"):
        make(spec_of("meso4"), init=str(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_file_of_weights_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors") as caught:
        make(spec_of("meso4"), init=str(tmp_path / "a.safetensors"))
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="no such file"):
        make(spec_of("meso4"), init=str(tmp_path / "b.safetensors"))


def test_capsules_trunk_is_frozen_once_it_has_weights_and_asked_for_where_a_file_lacks_it(tmp_path):
    spec = spec_of("capsule")
    state = made(spec).state_dict()
    save_file({key: one for key, one in state.items() if ".trunk." not in key}, tmp_path / "official.safetensors")
    with pytest.raises(CheckpointError, match="has no VGG-19 trunk.*set train.weights: imagenet"):
        make(spec, init=str(tmp_path / "official.safetensors"))
    save_file(state, tmp_path / "ours.safetensors")
    model = make(spec, init=str(tmp_path / "ours.safetensors"))
    assert isinstance(model, FrameDetector)
    assert not any(parameter.requires_grad for parameter in model.network.trunk.parameters())
    assert all(parameter.requires_grad for parameter in made(spec).network.trunk.parameters())
