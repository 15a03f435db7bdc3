"""Files of weights, checked against the network that is to take them."""

import pytest
import torch
from safetensors.torch import save_file

from dualface import methods
from dualface.errors import CheckpointError
from dualface.models import weights
from dualface.models.make import make


def tensors(*names):
    return {name: torch.ones(2) for name in names}


WANTED = tensors("body.a", "body.b", "head.a", "head.b") | {"body.num_batches_tracked": torch.tensor(0)}


def test_a_head_may_be_missing_as_a_whole_and_only_so():
    body = tensors("body.a", "body.b")
    assert weights.differences(WANTED, body, free=("head.",)) is None
    assert weights.differences(WANTED, body) == "of 5 tensors 2 missing; first: head.a"
    half = body | tensors("head.a")
    assert weights.differences(WANTED, half, free=("head.",)) == "of 5 tensors 1 missing; first: head.b"
    assert "3 missing" in weights.differences(WANTED, tensors("head.a"), free=("head.",))
    assert "4 missing" in weights.differences(WANTED, {})


def test_each_difference_is_counted_and_a_shape_is_told_first():
    given = tensors("body.a", "body.b", "other") | {"head.a": torch.ones(3), "head.b": torch.ones(2, dtype=torch.int64)}
    assert weights.differences(WANTED, given) == (
        "of 5 tensors 1 of another shape, 1 unknown, 1 of another type; first: head.a, (3,) instead of (2,)"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_another_precision_are_taken(dtype):
    given = {name: tensor.to(dtype) for name, tensor in WANTED.items() if tensor.ndim}
    assert weights.differences(WANTED, given) is None


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint8, torch.bool, torch.float8_e4m3fn])
def test_numbers_that_mean_something_else_are_not(dtype):
    given = {name: tensor.to(dtype) for name, tensor in WANTED.items() if tensor.ndim}
    assert weights.differences(WANTED, given) == "of 5 tensors 4 of another type; first: body.a"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    given = WANTED | {"head.b": torch.tensor([1.0, value])}
    assert weights.differences(WANTED, given) == "of 5 tensors 1 with NaN or infinite numbers; first: head.b"


def test_a_name_that_could_move_the_cursor_is_told_without_its_power():
    told = weights.differences(WANTED, WANTED | tensors("\x1b[2J\nfine"))
    assert told == r"of 5 tensors 1 unknown; first: \x1b[2J\nfine"


def test_a_folder_is_told_apart_from_what_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"train.init: .*: a folder; give the file of weights in it"):
        weights.read(tmp_path, setting="train.init")
    with pytest.raises(CheckpointError, match=r"train.init: .*: no such file"):
        weights.read(tmp_path / "a", setting="train.init")


def test_mesonets_weights_say_for_which_faces_they_are(tmp_path):
    state = make(methods.spec("meso4", backbone="none", temporal="none", levels="frame", input_size=256)).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    small = methods.spec("meso4", backbone="none", temporal="none", levels="frame", input_size=64)
    with pytest.raises(CheckpointError, match=r"1 of another shape; .*; it is for faces.input_size: 256$"):
        make(small, init=str(tmp_path / "w.safetensors"))
