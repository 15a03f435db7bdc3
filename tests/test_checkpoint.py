import pytest
import torch

from dualface import checkpoint
from dualface.card import Card
from dualface.errors import CheckpointError
from dualface.models.dual import DualNet

CARD = Card(
    params={},
    data_sha256="0" * 64,
    version="0.1.0",
    epoch=1,
    thresholds={"video": 0.4, "frame": 0.6},
    validation={},
    model={"method": "dual", "backbone": "resnet18", "temporal": "gru", "levels": ["video", "frame"], "input_size": 32}
    | {"frames": 4, "stride": 2, "overlap": 0.5},
    weights_sha256="",
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DualNet("resnet18").eval()


@pytest.fixture
def folder(model, tmp_path):
    checkpoint.save(tmp_path / "model", model.state_dict(), CARD)
    return tmp_path / "model"


def test_a_model_comes_back_from_its_files_alone(model, folder):
    loaded, card = checkpoint.load(folder)
    faces = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        want, got = (one(faces, torch.tensor([3]), frames=4) for one in (model, loaded))
    torch.testing.assert_close(got.video, want.video, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got.frame, want.frame, rtol=1e-5, atol=1e-6)
    assert card.thresholds == CARD.thresholds


def test_the_same_model_gives_the_same_bytes(model, folder, tmp_path):
    checkpoint.save(tmp_path / "again", model.state_dict(), CARD)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_other_weights_than_the_cards_are_refused(folder):
    with (folder / checkpoint.WEIGHTS).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(CheckpointError, match="not the weights that card.json describes"):
        checkpoint.load(folder)


def test_a_card_for_another_backbone_is_refused(folder):
    card = folder / checkpoint.CARD
    card.write_text(card.read_text().replace("resnet18", "resnet34"))
    with pytest.raises(CheckpointError, match="does not fit the model"):
        checkpoint.load(folder)


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_weights_of_numbers_that_a_network_does_not_have_are_refused(model, tmp_path, dtype):
    odd = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    checkpoint.save(tmp_path / "model", odd, CARD)
    with pytest.raises(
        CheckpointError, match=r"does not fit the model of card.json: of \d+ tensors \d+ of another type"
    ):
        checkpoint.load(tmp_path / "model")


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.CARD])
def test_a_missing_file_says_what_to_run(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match="dvc repro train"):
        checkpoint.load(folder)
