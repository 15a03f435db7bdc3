"""Pickles that ask for more than a reader of data should give."""

import io
import pickle
import struct
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from dualface.errors import CheckpointError
from dualface.official import convert, machine, pickles
from dualface.official.machine import Machine
from dualface.official.records import Module


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def run(pickled: bytes) -> object:
    return Machine().run(io.BytesIO(b"\x80\x02" + pickled + b"."))


def module(inner: bytes = b"", name: bytes = b"cnetwork.models\nNet\n") -> bytes:
    """The instructions of a network module with modules in it, kept as number 5."""
    parts = text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"}(" + inner + b"u"
    return name + b")\x81q\x05}(" + parts + b"ub"


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_values_come_out_as_they_are(protocol):
    value = {"a": [1, -2, 3.5, None, True, 2**40], "b": ("x" * 300, {"y": ()}), "c": OrderedDict(d=1)}
    assert Machine().run(io.BytesIO(pickle.dumps(value, protocol))) == value


def test_figures_of_a_training_are_passed_over():
    value = {"best": np.float64(0.5), "counts": np.arange(3), "steps": Counter(a=1), "epoch": 3}
    assert Machine().run(io.BytesIO(pickle.dumps(value, 2)))["epoch"] == 3


def test_a_class_is_a_label_and_never_looked_up():
    found = run(module())
    assert isinstance(found, Module)
    assert str(found.name) == "network.models.Net"


@pytest.mark.parametrize(
    "pickled",
    [
        b"cposix\nsystem\n",  # named, and never called
        b"cposix\nsystem\n" + text("true") + b"\x85R",
        b"cposix\nsystem\n" + text("true") + b"\x85\x81",
        b"cposix\nsystem\n)\x81",  # made, and never given a state
        b"cposix\nsystem\n)\x81}b",  # given one that is no module's
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n" + text("os") + b"\x85R" + text("system") + b"tR",
        text("posix") + text("system") + b"\x93" + text("true") + b"\x85R",
        module(b"".join([text("a"), b"cposix\nsystem\n", text("true"), b"\x85R"])),
        b"ctorch.storage\n_load_from_bytes\n" + text("x") + b"\x85R",
        b"ctorch\nFloatTensor\nJ\x00\xca\x9a\x3b\x85R",  # 4 GB
        b"cbuiltins\nbytearray\nJ\x00\xca\x9a\x3b\x85R",
        b"ctorch._utils\n_rebuild_wrapper_subclass\n)R",
        b"\x8c\x05posix\x8c\x06system\x93",
    ],
)
def test_all_other_names_are_refused_by_name(pickled):
    with pytest.raises(CheckpointError, match="^refused: its pickle asks for [a-zA-Z_.]+, and only"):
        run(pickled)


@pytest.mark.parametrize("target", [b"}", b"N", module(), b"]"])
def test_a_state_never_becomes_an_attribute(target):
    found = None
    try:
        found = run(target + b"}" + text("items") + b"cbuiltins\neval\nsb")
    except (CheckpointError, TypeError):
        return
    pytest.fail(f"a state was set on {type(found).__name__}")


def test_names_of_a_file_can_not_move_the_cursor():
    with pytest.raises(CheckpointError) as caught:
        run(b"cpo\x1b[2Jsix\nsys\rtem\n)R")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "pickled",
    [
        b"}" + b")" + b"\x85" * 300_000 + b"K\x01s",  # a key so deep that its hash ends a process
        b"}cbuiltins\nset\n]\x85RNs",
    ],
)
def test_a_small_pickle_does_not_end_the_process(pickled):
    with pytest.raises(TypeError, match="a key that is neither text nor a number"):
        run(pickled)


@pytest.mark.parametrize("name", [text("\x1b[2J\n"), b")" + b"\x85" * 300_000, b"N"])
def test_only_a_name_is_told_as_one(name):
    with pytest.raises(TypeError, match="where Name was to be"):
        run(name + text("argument") + b"\x85\x81")


def test_a_number_for_keeping_is_no_size():
    assert run(b"}r\xff\xff\xff\xff") == {}  # the 2**32nd place


def test_endless_pickles_end(monkeypatch):
    monkeypatch.setattr(machine, "MOST_STEPS", 10_000)
    pairs = b"](" + b"K\x01K\x02\x86" * 100 + b"eq\x00"
    with pytest.raises(CheckpointError, match="more than 10,000 instructions"):
        run(b"(" + pairs + b"ccollections\nOrderedDict\nh\x00\x85R" * 200 + b"t")


@pytest.mark.parametrize(
    "inner",
    [
        text("a") + b"h\x05" + text("b") + b"h\x05",  # a module in itself, twice
        b"".join(text(str(number)) + b"h\x05" for number in range(5000)),
        text("a" * 2000) + module(),  # names that take memory where many modules share them
    ],
)
def test_a_network_without_end_is_refused(inner, tmp_path):
    with pytest.raises(CheckpointError, match="nested without end"):
        pickles._views(run(module(inner)))


@pytest.mark.parametrize("network", [nn.GRU(3, 4, 2), nn.MultiheadAttention(8, 2), nn.DataParallel(nn.Linear(2, 3))])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_torchs_own_networks_give_their_state(tmp_path, network, legacy):
    torch.save(network, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    wanted = {name.removeprefix("module."): value for name, value in network.state_dict().items()}
    read = pickles.read(tmp_path / "w.pth")
    assert set(read) == set(wanted)
    assert all(torch.equal(read[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_trainings_file_is_read_as_torch_reads_it(tmp_path, legacy):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    content = {"state_dict": network.state_dict(), "optimizer": optimizer.state_dict()}
    content |= {"scheduler": schedule.state_dict(), "best_result": np.float64(0.5)}
    torch.save(content, tmp_path / "all.pth", _use_new_zipfile_serialization=not legacy)
    torch.save(network.state_dict(), tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    wanted = torch.load(tmp_path / "w.pth", weights_only=True)
    read = pickles.read(tmp_path / "all.pth")
    assert set(read) == set(wanted)
    assert all(torch.equal(read[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("name", ["conv2d_" + "9" * 5000 + "/kernel", "conv\n1", "conv\x1b[2J", "cönv"])
def test_odd_names_of_tensors_are_refused_before_anyone_reads_them(tmp_path, name):
    torch.save({name: torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="is not the name of a tensor") as caught:
        convert.convert("meso4", tmp_path / "w.pth")
    assert str(caught.value).isprintable()


def test_what_older_files_hold_besides_is_understood():
    assert run(b"ctorch.nn.backends.thnn\n_get_thnn_function_backend\n)R") is None  # in modules before torch 1.2
    pairs = b"](" + text("a") + b"K\x01\x86" + text("b") + b"K\x02\x86e"
    assert run(b"ccollections\nOrderedDict\n" + pairs + b"\x85R") == {"a": 1, "b": 2}  # from Python 2
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("9") + text("cpu") + b"K\x06"
    part = storage + b"(" + text("8") + b"K\x02K\x03ttQ"  # three of six numbers, from the third on
    view = run(b"ctorch._utils\n_rebuild_tensor\n(" + part + b"K\x01K\x02\x85K\x01\x85tR")
    assert (view.storage.start, view.storage.length, view.offset, view.size) == (2, 3, 1, (2,))
    with pytest.raises(CheckpointError, match="larger than the 3 numbers"):
        run(b"ctorch._utils\n_rebuild_tensor\n(" + part + b"K\x02K\x02\x85K\x01\x85tR")
