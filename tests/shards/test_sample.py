import json
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from conftest import make_track
from dualface.errors import ShardError
from dualface.shards.sample import decode, encode


def test_faces_come_back_to_the_last_bit():
    track = make_track("clip", count=12)
    back = decode("clip", encode(track))
    for name in ("faces", "index", "boxes", "labels"):
        assert np.array_equal(getattr(back, name), getattr(track, name))
        assert getattr(back, name).dtype == getattr(track, name).dtype
    assert back.meta == track.meta


def test_a_single_face_is_a_sample():
    track = make_track("clip", count=1)
    assert np.array_equal(decode("clip", encode(track)).faces, track.faces)


def test_still_faces_take_almost_no_room():
    track = make_track("clip", count=50)
    still = replace(track, faces=np.repeat(track.faces[:1], 50, axis=0))
    assert len(encode(still)["faces.zst"]) < 1.2 * len(encode(make_track("clip", count=1))["faces.zst"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": np.zeros((10, 16, 16, 3), np.float32)}, "faces is float32"),
        ({"faces": np.zeros((10, 16, 8, 3), np.uint8)}, "expected"),
        ({"index": np.arange(10, dtype=np.int64)}, "index is int64"),
        ({"index": np.zeros(10, np.int32)}, "do not ascend"),
        ({"labels": np.full(10, 2, np.uint8)}, "label over 1"),
        ({"boxes": np.zeros((9, 4), np.int32)}, "boxes"),
    ],
)
def test_a_track_that_breaks_the_contract_is_not_written(change, message):
    with pytest.raises(ShardError, match=message):
        encode(replace(make_track("clip"), **change))


def bomb(members):
    members["faces.zst"] = zstandard.ZstdCompressor().compress(bytes(10_000_000))


def short(members):
    members["faces.zst"] = members["faces.zst"][:50]


def missing(members):
    del members["index.npy"]


def pickled(members):
    members["index.npy"] = b"\x80\x04K\x01."


def huge(members):
    members["json"] = json.dumps({"shape": [10**6, 4096, 4096, 3], "meta": {}}).encode()


def no_json(members):
    members["json"] = b"{"


def flipped(members):
    members["labels.npy"] = members["labels.npy"][:-1] + bytes([members["labels.npy"][-1] ^ 1])


def test_a_sample_too_large_to_read_again_is_not_written(monkeypatch):
    monkeypatch.setattr("dualface.shards.sample.MAX_FACE_BYTES", 1000)
    with pytest.raises(ShardError, match=r"lower faces\.max_frames"):
        encode(make_track("clip"))


@pytest.mark.parametrize("damage", [flipped, bomb, short, missing, pickled, huge, no_json])
def test_a_hostile_sample_is_refused_by_name(damage):
    members = encode(make_track("clip"))
    damage(members)
    with pytest.raises(ShardError, match="sample 'clip'"):
        decode("clip", members)
