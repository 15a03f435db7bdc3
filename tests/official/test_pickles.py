"""Files of torch.save, read without running them."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from dualface.errors import CheckpointError
from dualface.official import pickles

FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def saved(path, content, *, legacy):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def small() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    whole = torch.randn(6, 4, generator=rng)
    return {
        "conv.weight": torch.randn(2, 3, 3, 3, generator=rng),
        "bn.num_batches_tracked": torch.tensor(7),
        "half": torch.randn(5, generator=rng).half(),
        "transposed": whole.T,
        "part": whole[2:4, 1:],
        "empty": torch.empty(0, 3),
    }


def same(read: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert set(read) == set(wanted)
    for name, tensor in wanted.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name
        assert read[name].is_contiguous()


@FORMATS
@pytest.mark.parametrize("wrapper", [None, "state_dict", "net", "model_state_dict", "model"])
def test_a_dict_of_tensors_comes_back_also_from_among_other_things(tmp_path, wrapper, legacy):
    content = small() if wrapper is None else {"epoch": 3, "best": 0.5, wrapper: OrderedDict(small())}
    same(pickles.read(saved(tmp_path / "w.pth", content, legacy=legacy)), small())


@FORMATS
def test_what_several_gpus_put_before_each_name_is_taken_off(tmp_path, legacy):
    content = {f"module.{name}": tensor for name, tensor in small().items()}
    same(pickles.read(saved(tmp_path / "w.pth", content, legacy=legacy)), small())


@pytest.fixture
def network():
    """A network whose class lies in a module that is gone by the time its file is read."""
    module = types.ModuleType("network.models")
    module.__dict__["nn"] = nn
    exec(  # noqa: S102
        "class TransferModel(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())\n"
        "        self.last_linear = nn.Linear(4, 2)\n",
        module.__dict__,
    )
    sys.modules |= {"network": types.ModuleType("network"), "network.models": module}
    torch.manual_seed(0)
    yield module.TransferModel()
    sys.modules.pop("network", None)
    sys.modules.pop("network.models", None)


@FORMATS
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_network_is_read_without_its_code(tmp_path, network, legacy):
    path = saved(tmp_path / "full.p", network, legacy=legacy)
    del sys.modules["network"], sys.modules["network.models"]
    same(pickles.read(path), dict(network.state_dict()))
    assert "network.models" not in sys.modules


class Calls:
    """Reduces to a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "system": lambda sign: Calls(os.system, f"touch {sign}"),
    "eval": lambda sign: Calls(eval, f"open({str(sign)!r}, 'w')"),
    "exec": lambda sign: Calls(exec, f"open({str(sign)!r}, 'w')"),
    "getattr": lambda sign: Calls(getattr, Calls(__import__, "os"), "system"),
    "open": lambda sign: Calls(open, str(sign), "w"),
    "tensor": lambda sign: Calls(torch.load, str(sign)),
    "bytes": lambda sign: Calls(bytearray, 10**9),
}


@FORMATS
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["whole", "value", "deep"])
def test_nothing_in_a_file_is_run(tmp_path, name, place, legacy):
    bomb = HOSTILE[name](tmp_path / "sign")
    content = {"whole": bomb, "value": small() | {"x": bomb}, "deep": {"state_dict": small(), "extra": [(bomb,)]}}
    path = saved(tmp_path / "w.pth", content[place], legacy=legacy)
    with pytest.raises(CheckpointError, match=r"w\.pth: (refused|damaged|its pickle|it holds)") as caught:
        pickles.read(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sign").exists()


def zipped(path, pickled: bytes, **entries: bytes):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, content in entries.items():
            archive.writestr(f"a/data/{name}", content)
    return path


def unicode(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def tensor(*, numel: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """The instructions that rebuild a tensor over the storage "0"."""

    def numbers(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    storage = b"(" + unicode("storage") + b"ctorch\nFloatStorage\n" + unicode("0") + unicode("cpu")
    storage += b"\x8a\x08" + struct.pack("<q", numel) + b"tQ"
    arguments = storage + b"\x8a\x08" + struct.pack("<q", offset) + numbers(size) + numbers(stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"


@pytest.mark.parametrize(
    "shape",
    [
        {"numel": 4, "size": (5,), "stride": (1,)},
        {"numel": 4, "size": (2, 2), "stride": (4, 1)},
        {"numel": 4, "size": (4,), "stride": (1,), "offset": 1},
        {"numel": 4, "size": (2,), "stride": (-1,), "offset": 3},
        {"numel": 4, "size": (-4,), "stride": (1,)},
        {"numel": 4, "size": (10**9, 10**9), "stride": (0, 0)},
        {"numel": 10**12, "size": (1,), "stride": (1,)},
        {"numel": -1, "size": (1,), "stride": (1,)},
        {"numel": 4, "size": (2**47, 2**47, 0), "stride": (1, 1, 1)},  # empty, and torch computes its strides
        {"numel": 4, "size": (0, 2**47, 2**47), "stride": (1, 1, 1)},
    ],
)
def test_tensors_that_reach_beyond_their_numbers_are_refused(tmp_path, shape):
    pickled = b"\x80\x02}" + unicode("w") + tensor(**shape) + b"s."
    with pytest.raises(CheckpointError, match=r"w\.pth: ") as caught:
        pickles.read(zipped(tmp_path / "w.pth", pickled, **{"0": bytes(16)}))
    assert "\n" not in str(caught.value)


def test_the_handmade_tensor_is_sound_where_its_shape_is(tmp_path):
    pickled = b"\x80\x02}" + unicode("w") + tensor(numel=4, size=(2, 2), stride=(2, 1)) + b"s."
    numbers = np.arange(4, dtype=np.float32)
    read = pickles.read(zipped(tmp_path / "w.pth", pickled, **{"0": numbers.tobytes()}))
    assert read["w"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}q\x00" + unicode("state_dict") + b"h\x00s.",  # a dict that holds itself
        b"\x80\x02" + b"]" * 100_000 + b".",
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",
        b"\x80\x02cos\nsystem\n(X\x01\x00\x00\x00xtR.",
        b"(S'x'\nios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"\x80\x02X\xff\xff\xff\x7f",
        b"\x80\x02.",
        b"",
        b"\x80\x02N.",
        b"\x80\x02}" + unicode("w") + b"(" + unicode("object") + b"tQs.",
    ],
)
def test_pickles_that_try_something_are_refused_in_one_line(tmp_path, pickled):
    with pytest.raises(CheckpointError, match=r"w\.pth: ") as caught:
        pickles.read(zipped(tmp_path / "w.pth", pickled))
    assert "\n" not in str(caught.value)


@FORMATS
def test_damaged_files_are_refused_or_read_and_never_break_anything(tmp_path, legacy):
    whole = saved(tmp_path / "w.pth", small(), legacy=legacy).read_bytes()
    rng = np.random.default_rng(0)
    parts = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    for _ in range(150):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        parts.append(bytes(flipped))
    refused = 0
    for part in parts:
        (tmp_path / "part.pth").write_bytes(part)
        try:
            pickles.read(tmp_path / "part.pth")
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


def test_other_files_are_refused(tmp_path):
    compressed = io.BytesIO()
    with zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("readme.txt", "hello")
    for content in (compressed.getvalue(), plain.getvalue(), b"", b"weights", pickle.dumps({"a": 1}), bytes(1000)):
        (tmp_path / "w.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"w\.pth: "):
            pickles.read(tmp_path / "w.pth")
