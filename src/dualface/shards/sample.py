"""One sample of a shard: the faces that were seen in one video, and where.

Members of sample KEY: `KEY.faces.zst`, `KEY.index.npy`, `KEY.boxes.npy`, `KEY.labels.npy`, `KEY.json`.
Faces are kept without loss: a detector looks for the very residue that JPEG would erase. Each frame is
stored as the difference to the one before it (modulo 256), then compressed: neighbouring faces are alike,
so this takes about a third of the raw bytes and half of PNG's.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard

from dualface.errors import ShardError

MAX_FACE_BYTES = 2**32  # a sample that claims more is refused before anything is unpacked
ZSTD_LEVEL = 3
NPY_MEMBERS = ("index", "boxes", "labels")
MEMBERS = {"faces.zst", "json", *(f"{name}.npy" for name in NPY_MEMBERS)}


@dataclass(frozen=True)
class FaceTrack:
    """The faces of one person through one video.

    Attributes:
        key: the video's key.
        faces: `(N, S, S, 3)` uint8, RGB crops in the order of the video, not padded.
        index: `(N,)` int32, source frame numbers, strictly ascending.
        boxes: `(N, 4)` int32, detected box of each face in the source frame: left, top, right, bottom, px.
        labels: `(N,)` uint8, label of each frame, 1 = FAKE.
        meta: facts about the whole video, of JSON types.
    """

    key: str
    faces: np.ndarray
    index: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    meta: dict[str, Any]


def encode(track: FaceTrack) -> dict[str, bytes]:
    """Turn a track into its members, by their names after the key.

    Raises:
        ShardError: shapes or types are not those of a `FaceTrack`.
    """
    _check(track)
    delta = track.faces.copy()
    delta[1:] -= track.faces[:-1]  # uint8 wraps around: exact both ways
    members = {"faces.zst": zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(delta.tobytes())}
    members |= {f"{name}.npy": _npy(getattr(track, name)) for name in NPY_MEMBERS}
    header = {"shape": list(track.faces.shape), "sha256": _sha256(members), "meta": track.meta}
    members["json"] = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    return members


def content_hash(key: str, members: dict[str, bytes]) -> str:
    """Return the sha256 of a sample's content, as its JSON member tells it.

    Raises:
        ShardError: there is none.
    """
    try:
        return str(json.loads(members["json"])["sha256"])
    except (KeyError, ValueError, TypeError) as error:
        raise ShardError(f"sample {key!r}: carries no hash ({error}); run `dvc repro --force faces`") from None


def decode(key: str, members: dict[str, bytes]) -> FaceTrack:
    """Turn a sample's members back into a track.

    Raises:
        ShardError: a member is missing or broken, or they contradict each other.
    """
    try:
        header = json.loads(members["json"])
        if header["sha256"] != _sha256(members):
            raise ShardError(f"sample {key!r}: its content is not what was written; run `dvc repro --force faces`")
        count, side, width, channels = (int(length) for length in header["shape"])
        total = count * side * width * channels
        if min(count, side, width, channels) < 1 or total > MAX_FACE_BYTES:
            raise ShardError(f"sample {key!r}: impossible shape {header['shape']}")
        if zstandard.frame_content_size(members["faces.zst"]) != total:  # or it would unpack whatever it holds
            raise ShardError(f"sample {key!r}: faces are not of the shape {header['shape']}")
        raw = zstandard.ZstdDecompressor().decompress(members["faces.zst"], max_output_size=total)
        delta = np.frombuffer(raw, dtype=np.uint8).reshape(count, side, width, channels)
        arrays = {name: _array(members[f"{name}.npy"]) for name in NPY_MEMBERS}
        track = FaceTrack(key, np.cumsum(delta, axis=0, dtype=np.uint8), **arrays, meta=header["meta"])
    except KeyError as error:
        raise ShardError(f"sample {key!r}: member {error} is missing; run `dvc repro --force faces`") from None
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, EOFError, zstandard.ZstdError) as error:
        raise ShardError(f"sample {key!r}: broken ({error}); run `dvc repro --force faces`") from None
    _check(track)
    return track


def _sha256(members: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in ("faces.zst", *(f"{name}.npy" for name in NPY_MEMBERS)):
        digest.update(members[name])
    return digest.hexdigest()


def _array(content: bytes) -> np.ndarray:
    # np.load would also open zip files and pickles.
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _check(track: FaceTrack) -> None:
    count = len(track.faces)
    want = {
        "faces": (track.faces, (count, track.faces.shape[1], track.faces.shape[1], 3), np.uint8),
        "index": (track.index, (count,), np.int32),
        "boxes": (track.boxes, (count, 4), np.int32),
        "labels": (track.labels, (count,), np.uint8),
    }
    for name, (array, shape, dtype) in want.items():
        if array.shape != shape or array.dtype != dtype:
            raise ShardError(
                f"sample {track.key!r}: {name} is {array.dtype}{array.shape}, expected {np.dtype(dtype)}{shape}"
            )
    if track.faces.nbytes > MAX_FACE_BYTES:
        raise ShardError(
            f"sample {track.key!r}: {count} faces of {track.faces.shape[1]} px are over {MAX_FACE_BYTES >> 30} GiB; "
            "lower faces.max_frames or faces.input_size"
        )
    if count < 1 or np.any(np.diff(track.index) <= 0) or np.any(track.labels > 1):
        raise ShardError(f"sample {track.key!r}: no faces, frame numbers that do not ascend, or a label over 1")
