"""What shards take on disk and how fast they are read, against PNG files and raw arrays: part of extraction.py."""

import io
import statistics
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import videos
from dualface.faces import piece
from dualface.faces.attempt import attempt
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack
from dualface.shards.write import write
from videos import FRAMES, cpu_seconds, line, verdict

GOAL_BYTES, GOAL_READ = 0.45, 150.0
TIMES = 5  # each sample is read in a round, so that a round takes a while


def extracted(clips: list[Path], folder: Path, *, stride: int) -> tuple[Shards, list[int]]:
    """Extract clips into shards of 64 px faces; returns these and the bytes of each clip's sample."""
    settings = videos.settings(stride=stride, max_frames=FRAMES, min_faces=1, input_size=64)
    samples = []
    for number, path in enumerate(clips):
        into = folder / f"{number}.piece"
        attempt(videos.row(path, root=path.parent), data_root=path.parent, settings=settings, into=into)
        samples += [(f"{number:04d}-{key}", members) for key, members in piece.read_samples(into)]
    write(folder, samples, shard_bytes=500 * 10**6)
    return Shards(folder), [sum(map(len, members.values())) for _, members in samples]


def as_png(tracks: list[FaceTrack], path: Path) -> Path:
    """Write each face as a PNG file into a tar."""
    faces = [(f"{one.key}.{number:03d}.png", face) for one in tracks for number, face in enumerate(one.faces)]
    return _tar(path, [(name, _png(face)) for name, face in faces])


def as_arrays(tracks: list[FaceTrack], path: Path) -> Path:
    """Write the faces of each sample as one raw array into a tar."""
    return _tar(path, [(f"{one.key}.faces.npy", _npy(one.faces)) for one in tracks])


def read_png(path: Path) -> int:
    """Decode all PNG files of a tar, one after the other; returns their number."""
    with tarfile.open(path) as tar:
        faces = [cv2.imdecode(np.frombuffer(_content(tar, one), np.uint8), cv2.IMREAD_COLOR) for one in tar]
    return len(faces)


def read_arrays(path: Path) -> int:
    """Read all arrays of a tar; returns the number of faces."""
    with tarfile.open(path) as tar:
        return sum(len(np.load(io.BytesIO(_content(tar, one)))) for one in tar)


def read_shards(shards: Shards) -> int:
    """Read all samples, with labels, boxes and checksums; returns the number of faces."""
    return sum(len(shards.read(key).faces) for key in shards.keys())  # noqa: SIM118  (no dict)


def measure(clips: list[Path], *, rounds: int) -> None:
    """Print bytes and reading speed for stride 1 and 10."""
    print(
        line("stride", "videos", "faces", "raw MB a video", "shards / raw", "PNG / raw", "videos/s/core: shards", "PNG",
             "raw", rule=True)
    )  # fmt: skip
    for stride in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            (place := Path(folder, "shards")).mkdir()
            shards, sizes = extracted(clips, place, stride=stride)
            tracks = [shards.read(key) for key in shards.keys()]  # noqa: SIM118
            png, arrays = as_png(tracks, Path(folder, "png.tar")), as_arrays(tracks, Path(folder, "arrays.tar"))
            readers: list[Callable[[], int]] = [
                partial(read_shards, shards),
                partial(read_png, png),
                partial(read_arrays, arrays),
            ]
            speed = _videos_a_second(readers, count=len(tracks), rounds=rounds)
            raw = sum(one.faces.nbytes for one in tracks)
            share = [sum(path.stat().st_size for path in paths) / raw for paths in (place.glob("*.tar"), [png])]
        facts = (stride, len(tracks), sum(len(one.faces) for one in tracks), f"{raw / len(tracks) / 1e6:.2f}")
        print(line(*facts, *(f"{one:.2f}" for one in share), *(f"{one:.0f}" for one in speed)))
        each = [
            f"{path.name} {size / one.faces.nbytes:.2f}" for path, size, one in zip(clips, sizes, tracks, strict=True)
        ]
        print(f"shards / raw: {', '.join(each)}")
        print(f"bytes over raw {share[0]:.3f}; {verdict(share[0], GOAL_BYTES, at_least=False)}")
        print(f"{speed[0]:.0f} videos/s/core; {verdict(speed[0], GOAL_READ, at_least=True)}\n")


def _videos_a_second(readers: list[Callable[[], int]], *, count: int, rounds: int) -> list[float]:
    rows = [[sum(cpu_seconds(read) for _ in range(TIMES)) for read in readers] for _ in range(rounds)]
    return [count * TIMES / statistics.median(column) for column in zip(*rows, strict=True)]


def _tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return path


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


def _png(face: np.ndarray) -> bytes:
    return cv2.imencode(".png", face[..., ::-1])[1].tobytes()


def _npy(faces: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, faces)
    return buffer.getvalue()
