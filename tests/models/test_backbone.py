import pytest
import torch
import torchvision
from safetensors.torch import save_file

from dualface.errors import CheckpointError
from dualface.models.backbone import make
from dualface.models.dual import DualNet


@pytest.fixture(scope="module")
def official():
    torch.manual_seed(3)
    return torchvision.models.resnet18(weights=None).eval()


def test_weights_from_a_file_give_torchvisions_features(official, tmp_path):
    save_file(official.state_dict(), tmp_path / "weights.safetensors")
    backbone = make("resnet18", weights=str(tmp_path / "weights.safetensors")).eval()
    faces = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(official.fc(backbone(faces)), official(faces))


def test_weights_of_another_network_are_refused_by_name(official, tmp_path):
    state = {f"module.{name}": tensor for name, tensor in official.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="does not fit .* 122 unknown; first: conv1.weight"):
        make("resnet18", weights=str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"junk", "not a safetensors file")])
def test_no_weights_file_is_refused(tmp_path, content, message):
    path = tmp_path / "weights.safetensors"
    if content:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        make("resnet18", weights=str(path))


def test_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(CheckpointError, match="known: cnn4, resnet18"):
        make("vgg", weights="none")


@pytest.mark.parametrize("name", ["cnn4", "resnet18"])
def test_another_detectors_backbone_is_taken(name, tmp_path):
    torch.manual_seed(1)
    detector = DualNet(name)
    save_file(detector.state_dict(), tmp_path / "model.safetensors")
    backbone = make(name, weights=str(tmp_path / "model.safetensors"))
    for key, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, detector.backbone.state_dict()[key]), key


def test_cnn4_is_small_and_has_no_imagenet_weights():
    assert sum(parameter.numel() for parameter in make("cnn4", weights="none").parameters()) == 79_184
    with pytest.raises(CheckpointError, match="no ImageNet weights for cnn4"):
        make("cnn4", weights="imagenet")
