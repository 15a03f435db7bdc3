import json
import os
import struct
import sys

import pytest
import torch

from conftest import ROOT
from dualface import workfolder
from dualface.errors import CheckpointError, DualfaceError
from dualface.train import snapshot
from dualface.train.snapshot import Snapshots
from test_architecture import PACKAGE, closure
from world import loss_params, train_params


def opened(root):
    return snapshot.opened(root, loss=loss_params(), train=train_params(), data_sha256="ab" * 32)


def test_what_is_saved_comes_back_to_the_bit(tmp_path):
    tensors = {
        "a": torch.randn(3, 4).to(memory_format=torch.contiguous_format),
        "b": torch.tensor(7, dtype=torch.uint8),
    }
    facts = {"sum": 0.1 + 0.2, "tiny": 5e-324, "list": [1, None, "x"]}
    Snapshots(tmp_path).save(tensors, facts)
    again, told = Snapshots(tmp_path).load()
    assert told == facts
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_channels_last_weights_keep_their_values(tmp_path):
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    Snapshots(tmp_path).save({"w": weight}, {})
    assert torch.equal(Snapshots(tmp_path).load()[0]["w"], weight)


def test_without_a_snapshot_there_is_nothing(tmp_path):
    assert Snapshots(tmp_path).load() is None


def test_a_snapshot_is_due_when_the_last_is_old(tmp_path):
    assert Snapshots(tmp_path, seconds=0).due()
    assert not Snapshots(tmp_path, seconds=1000).due()


def test_a_failed_save_keeps_the_one_before(tmp_path, monkeypatch):
    snapshots = Snapshots(tmp_path)
    snapshots.save({"a": torch.ones(2)}, {"step": 1})

    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        snapshots.save({"a": torch.zeros(2)}, {"step": 2})
    assert snapshots.load()[1] == {"step": 1}


@pytest.mark.parametrize(
    "content",
    [b"", b"rubbish" * 99, struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 10**9) + b"{}", "no facts", "facts no JSON"],
)
def test_what_is_no_snapshot_is_refused_in_a_line(tmp_path, content):
    if isinstance(content, str):
        meta = {"other": "x"} if content == "no facts" else {"facts": "{"}
        head = json.dumps({"__metadata__": meta}).encode()
        content = struct.pack("<Q", len(head)) + head
    (tmp_path / "snapshot.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a snapshot .* delete it to start anew") as caught:
        Snapshots(tmp_path).load()
    assert "\n" not in str(caught.value)


def test_a_folder_is_gone_after_success_and_stays_after_failure(tmp_path):
    with pytest.raises(KeyError), opened(tmp_path) as snapshots:
        snapshots.save({"a": torch.ones(1)}, {})
        raise KeyError
    with opened(tmp_path) as snapshots:
        assert snapshots.load() is not None
    assert list(tmp_path.iterdir()) == []


def test_two_cannot_train_the_same_at_once(tmp_path):
    with (
        opened(tmp_path),
        pytest.raises(DualfaceError, match=f"process {os.getpid()} is training in it"),
        opened(tmp_path),
    ):
        pass


# What training imports and what does not shape it: how things are read, written, shown or asked for.
SHAPE_NOTHING = {
    *("ahead", "card", "checkpoint", "device", "entry", "errors", "history", "key", "progress", "scores"),
    *("shards/read", "shards/stream", "shards/tar", "split", "tables", "train/memory", "train/snapshot"),
    *("schema", "version", "workfolder", "yaml12"),
}


def test_the_hash_covers_all_code_that_shapes_a_training_and_no_other():
    reached = {path.relative_to(PACKAGE) for path in closure(ROOT / "stages" / "train.py") if PACKAGE in path.parents}
    shaping = {path.as_posix() for path in reached if path.stem != "__init__"}
    assert set(snapshot.CODE) == shaping - {f"{name}.py" for name in SHAPE_NOTHING}


def test_all_libraries_of_the_hash_are_loaded():
    assert set(snapshot.LIBRARIES) <= set(sys.modules)


def test_what_other_trainings_left_is_told_and_what_holds_nothing_is_removed(tmp_path):
    for name in ("train-a", "train-b", "train-c"):
        (tmp_path / name).mkdir()
    Snapshots(tmp_path / "train-a").save({"w": torch.zeros(10**6)}, {})
    Snapshots(tmp_path / "train-c").save({"w": torch.zeros(1)}, {})
    with workfolder.locked(tmp_path / "train-c", doing="training in"):
        (told,) = snapshot.left_alone(tmp_path)
    assert told.startswith(str(tmp_path / "train-a"))
    assert told.endswith("(4 MB)")
    assert not (tmp_path / "train-b").exists()
    assert (tmp_path / "train-c" / "snapshot.safetensors").exists()
    assert snapshot.left_alone(tmp_path / "none") == []
