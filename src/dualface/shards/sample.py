"""One sample of a shard: the faces that were seen in one video, and where.

Members of sample KEY: `KEY.faces.zst`, `KEY.index.npy`, `KEY.boxes.npy`, `KEY.labels.npy`, `KEY.json`.
Faces are kept without loss: a detector looks for the very residue that JPEG would erase. Each frame is
stored as the difference to the one before it, red and blue as differences to green (all modulo 256), then
compressed: neighbouring faces, and the colours of a pixel, are alike.
"""

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any, Protocol

import numpy as np
import zstandard

from dualface.errors import ShardError

MAX_FACE_BYTES = 2**32  # a sample that claims more is refused before anything is unpacked
ZSTD_LEVEL = 3
# What reading forged members can raise: numpy parses an array's header as Python.
BROKEN = (ValueError, TypeError, OverflowError, RecursionError, MemoryError, EOFError, SyntaxError, TokenError)
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


class Faces(Protocol):
    """Crops, `(N, S, S, 3)` uint8, that can be gone through once in order: an array, or crops still on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, S, S, 3."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each face, `(S, S, 3)` uint8."""


OpenMember = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Takes a member's name after the key; gives a file to write its content to."""


def encode(track: FaceTrack) -> dict[str, bytes]:
    """Turn a track into its members, by their names after the key.

    Raises:
        ShardError: shapes or types are not those of a `FaceTrack`.
    """
    _check(track)
    members: dict[str, bytes] = {}

    @contextmanager
    def into(name: str) -> Iterator[io.BytesIO]:
        content = io.BytesIO()
        yield content
        members[name] = content.getvalue()

    arrays = {name: getattr(track, name) for name in NPY_MEMBERS}
    encode_to(into, faces=track.faces, arrays=arrays, meta=track.meta)
    return members


def encode_to(into: OpenMember, *, faces: Faces, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write a track's members one after the other; memory does not grow with the number of faces.

    Args:
        into: opens a member.
        faces: `(N, S, S, 3)` uint8.
        arrays: `index`, `boxes` and `labels`, as in a `FaceTrack`.
        meta: facts about the whole video, of JSON types.
    """
    digest = hashlib.sha256()
    with into("faces.zst") as file:
        for part in _compressed(faces):
            digest.update(part)
            file.write(part)
    for name in NPY_MEMBERS:
        content = _npy(arrays[name])
        digest.update(content)
        with into(f"{name}.npy") as file:
            file.write(content)
    header = {"shape": list(faces.shape), "sha256": digest.hexdigest(), "meta": meta}
    with into("json") as file:
        file.write(json.dumps(header, sort_keys=True, ensure_ascii=False).encode())


def _compressed(faces: Faces) -> Iterator[bytes]:
    stream = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj(size=math.prod(faces.shape))
    before = np.zeros(faces.shape[1:], dtype=np.uint8)
    for face in faces:
        change = face - before  # uint8 wraps around: exact both ways
        change[..., 0] -= change[..., 1]
        change[..., 2] -= change[..., 1]
        yield stream.compress(change.tobytes())
        before = face
    yield stream.flush()


def _decompressed(raw: bytes, shape: tuple[int, ...]) -> np.ndarray:
    faces = np.frombuffer(raw, dtype=np.uint8).reshape(shape).copy()
    for at in range(1, len(faces)):
        faces[at] += faces[at - 1]  # np.cumsum takes 100 times as long
    faces[..., 0] += faces[..., 1]
    faces[..., 2] += faces[..., 1]
    return faces


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
        if min(count, side, width) < 1 or channels != 3 or total > MAX_FACE_BYTES:
            raise ShardError(f"sample {key!r}: impossible shape {header['shape']}")
        if zstandard.frame_content_size(members["faces.zst"]) != total:  # or it would unpack whatever it holds
            raise ShardError(f"sample {key!r}: faces are not of the shape {header['shape']}")
        raw = zstandard.ZstdDecompressor().decompress(members["faces.zst"], max_output_size=total)
        arrays = {name: _array(members[f"{name}.npy"]) for name in NPY_MEMBERS}
        track = FaceTrack(key, _decompressed(raw, (count, side, width, channels)), **arrays, meta=header["meta"])
    except KeyError as error:
        raise ShardError(f"sample {key!r}: member {error} is missing; run `dvc repro --force faces`") from None
    except (*BROKEN, zstandard.ZstdError) as error:
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
