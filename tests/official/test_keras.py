"""Weight files of Keras that are not what they seem."""

import h5py
import numpy as np
import pytest

from dualface.errors import CheckpointError
from dualface.official import keras


def refused(path, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        keras.read(path)
    assert str(caught.value).isprintable()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.h5"


def test_names_are_the_layers_and_what_they_hold(path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    with h5py.File(path, "w") as file:
        file["dense_1/dense_1/kernel:0"] = kernel
        file["dense_1/dense_1/bias:0"] = kernel[0]
        file.create_group("flatten_1")
    read = keras.read(path)
    assert set(read) == {"dense_1/kernel", "dense_1/bias"}
    assert np.array_equal(read["dense_1/kernel"].numpy(), kernel)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4"])
def test_numbers_are_float32(path, dtype):
    with h5py.File(path, "w") as file:
        file["dense_1/dense_1/kernel:0"] = np.ones(3, dtype)
    refused(path, r"kernel:0 is not the plain float32 numbers")


@pytest.mark.parametrize("how", [{}, {"chunks": (1024,)}, {"chunks": (1024,), "compression": "gzip"}])
def test_numbers_that_the_file_does_not_hold_are_not_made_up(path, how):
    with h5py.File(path, "w") as file:
        file.create_dataset("dense_1/dense_1/kernel:0", shape=(2**20,), dtype="f4", **how)
    assert path.stat().st_size < 2**16
    refused(path, r"kernel:0 is not the plain float32 numbers")


def test_packed_numbers_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("dense_1/dense_1/kernel:0", data=np.zeros(2**20, np.float32), compression="gzip")
    refused(path, r"kernel:0 is not the plain float32 numbers")


def test_groups_that_hold_each_other_many_times_over_end_soon(path):
    with h5py.File(path, "w") as file:
        inner = file.create_group("leaf")
        for depth in range(7):
            outer = file.create_group(f"depth{depth}")
            for number in range(12):
                outer[str(number)] = inner
            inner = outer
    refused(path, "more groups or entries than any network")


def test_a_group_that_holds_itself_is_refused(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("dense_1")
        group["dense_1"] = group
    refused(path, "more groups or entries than any network")


def test_two_tensors_of_one_name_are_told_of(path):
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(2, np.float32)
        file["layers/conv2d_1/vars/0"] = np.ones(3, np.float32)
    refused(path, "it holds vars/0 twice")


@pytest.mark.parametrize("kind", ["soft", "external", "raw", "virtual"])
def test_nothing_outside_the_weights_is_read(path, tmp_path, kind):
    (tmp_path / "secret").write_bytes(b"secret" * 10)
    with h5py.File(path, "w") as file:
        match kind:
            case "soft":
                file["dense_1\x1b[2J\n"] = h5py.SoftLink("/elsewhere")
            case "external":
                file["dense_1"] = h5py.ExternalLink("other.h5", "/x")
            case "raw":
                raw = [(str(tmp_path / "secret"), 0, 40)]
                file.create_dataset("dense_1/kernel:0", shape=(10,), dtype="f4", external=raw)
            case _:
                layout = h5py.VirtualLayout((10,), dtype="f4")
                layout[:] = h5py.VirtualSource("other.h5", "x", shape=(10,))
                file.create_virtual_dataset("dense_1/kernel:0", layout)
    refused(path, "dense_1.* is a link|kernel:0 holds no plain numbers")


def test_damaged_files_are_refused_or_read_and_never_break_anything(path):
    with h5py.File(path, "w") as file:
        for number in range(4):
            file[f"dense_{number}/dense_{number}/kernel:0"] = np.ones((4, 4), np.float32)
    whole, rng, refusals = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(len(whole), size=4):
            changed[place] = int(rng.integers(256))
        path.write_bytes(changed)
        try:
            keras.read(path)
        except CheckpointError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 10
