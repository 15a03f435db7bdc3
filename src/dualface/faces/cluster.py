"""Attempts on a Ray cluster: a task per video, made again elsewhere when its node is lost.

A node sends the piece as bytes, and this process alone writes it: the nodes need to read the videos, and no more.
Inside a task a `Supervisor` has the attempt made, as locally, so a video that crashes or hangs costs its own process
and gives the same row.
"""

import logging
import os
import platform
import re
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import dlib

from dualface.errors import DualfaceError
from dualface.faces import work
from dualface.faces.supervisor import Done, Supervisor
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

try:
    import ray
    from ray._private.services import canonicalize_bootstrap_address
except ImportError as error:
    raise DualfaceError(f"DUALFACE_ENGINE=ray needs Ray ({error}): pip install 'dualface[ray]'") from None

AHEAD = 2  # tasks per CPU that are submitted and not yet taken: one at work, one that waits for it
RETRIES = 10  # of a task whose node or process was lost; without a limit, one that takes its node along takes all
GPU_SHARE = 0.25  # of a GPU, for a task with dlib's CNN
LOOK_AGAIN = 10.0  # seconds after which nodes that joined get work, though no task has ended
PROBE = 10.0  # seconds that the head may take to answer


class Answer(NamedTuple):
    """What a node sends: the row, the seconds that it took, and the piece where there is one."""

    row: Attempt
    seconds: float
    piece: bytes | None


def attempts(
    videos: list[Video], *, into: Callable[[Video], Path], data_root: Path | None, settings: FacesParams
) -> Generator[Done]:
    """Make attempts on the cluster of `RAY_ADDRESS`, else that of this machine, in whatever order they are done.

    Args:
        videos: rows of the manifest.
        into: says where a video's piece is to be written.
        data_root: the folder under which the videos lie, on every node.
        settings: the section `faces` of the parameters.

    Yields:
        What was done, once its piece is written. Of the others, at most `AHEAD` per CPU are begun or wait to be.

    Raises:
        DualfaceError: there is no such cluster; a node has another program, or no such video; or Ray gave up on one.
    """
    settings = _absolute(settings)
    program = work.identity(settings)
    with _connected():
        task, needs = ray.remote(attempt), _needs(settings, ray.cluster_resources())
        waiting = iter(videos)
        running: dict[Any, Video] = {}
        while True:
            room = AHEAD * _cpus() - len(running)
            for video in islice(waiting, max(room, 0 if running else 1)):
                node_video, root = _placed(video, data_root)
                named = task.options(name=f"faces of {video.key}", max_retries=RETRIES, **needs)
                running[named.remote(node_video, data_root=root, settings=settings, program=program)] = video
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_AGAIN)
            for one in done:
                yield _taken(one, running.pop(one), into)


def attempt(video: Video, *, data_root: Path | None, settings: FacesParams, program: str) -> Answer:
    """Make an attempt, on a node.

    Args:
        video: row of the manifest, with a path under `data_root`.
        data_root: the folder under which it lies.
        settings: the section `faces` of the parameters, with an absolute path of the weights.
        program: what `work.identity` says where the pieces are gathered.

    Raises:
        DualfaceError: the whole job can't go on; the message names the node.
    """
    try:
        if _program(settings) != program:
            raise DualfaceError(
                "its dualface or its libraries (av, cv2, dlib, numpy, zstandard) are not those of the driver's "
                "machine, so its faces might differ; install the same there, by requirements.lock"
            )
        with tempfile.TemporaryDirectory(prefix="dualface-") as folder:
            piece = Path(folder) / f"{video.key}.piece"
            done = _supervisor(data_root, settings).attempt(video, into=piece)
            return Answer(done.row, done.seconds, piece.read_bytes() if piece.exists() else None)
    except (DualfaceError, OSError) as error:
        raise DualfaceError(f"node {platform.node()}: {error}") from None


@cache  # a process of Ray's works on one video at a time, and on many one after the other
def _supervisor(data_root: Path | None, settings: FacesParams) -> Supervisor:
    return Supervisor(data_root=data_root, settings=settings)


@cache
def _program(settings: FacesParams) -> str:
    return work.identity(settings)


def _taken(one: Any, video: Video, into: Callable[[Video], Path]) -> Done:
    try:
        answer: Answer = ray.get(one)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DualfaceError):
            raise DualfaceError(str(error.cause)) from None
        where = re.search(r"\bip=([^\s)]+)", str(error))
        raise DualfaceError(f"node {where[1] if where else 'unknown'}: {_words(error.cause)}") from error
    except ray.exceptions.RayError as error:
        raise DualfaceError(f"{video.path}: Ray gave up on it: {_words(error)}") from None
    if answer.piece is not None:
        into(video).write_bytes(answer.piece)
    return Done(video, answer.row, answer.seconds)


@contextmanager
def _connected() -> Iterator[None]:
    """Connect to the cluster; at the end, however it comes, what is queued or running there is dropped."""
    wanted = os.environ.get("RAY_ADDRESS") or "auto"
    address = _listening(wanted)
    try:
        # A node's log stays on the node: what a video makes libraries print is nobody's progress.
        ray.init(address=wanted, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise DualfaceError(
            f"can't join the Ray cluster at {address}: {_words(error.__cause__ or error)}; "
            "this machine must be one of its nodes, with the same Ray, Python and RAY_AUTH_TOKEN"
        ) from None
    try:
        if not _cpus():
            raise DualfaceError(f"the Ray cluster at {address} has no CPUs; add nodes: ray start --address={address}")
        yield
    finally:
        ray.shutdown()


def _listening(wanted: str) -> str:
    """Return HOST:PORT of a cluster that listens; Ray itself tries for a quarter of an hour to reach one that does not.

    Raises:
        DualfaceError: there is none.
    """
    if "://" in wanted or wanted == "local":
        raise DualfaceError(f"RAY_ADDRESS={wanted}: expected HOST:PORT of the head; run this on a node of the cluster")
    try:
        address = str(canonicalize_bootstrap_address(wanted))
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE).close()
    except (OSError, ValueError) as error:
        where = "on this machine" if wanted == "auto" else f"at RAY_ADDRESS={wanted} ({_words(error)})"
        raise DualfaceError(
            f"no Ray cluster {where}; start one here with `ray start --head`, or export RAY_ADDRESS=HOST:PORT of the "
            "head of one that this machine is a node of"
        ) from None
    return address


def _cpus() -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _needs(settings: FacesParams, resources: dict[str, float]) -> dict[str, float]:
    """Say what a task takes of a node. Only a dlib that was built for GPUs has a use for one."""
    on_gpu = settings.detector == "cnn" and dlib.DLIB_USE_CUDA and resources.get("GPU", 0) > 0
    return {"num_cpus": 1, "num_gpus": GPU_SHARE if on_gpu else 0}


def _absolute(settings: FacesParams) -> FacesParams:
    """Return settings that mean the same in whatever folder a node works."""
    if settings.weights == "none":
        return settings
    return settings.model_copy(update={"weights": str(Path(settings.weights).absolute())})


def _placed(video: Video, data_root: Path | None) -> tuple[Video, Path | None]:
    """Say where a node finds a video: what lies in the repository lies under this folder."""
    if video.path.startswith("./"):
        return replace(video, path=str(PurePosixPath(video.path))), Path.cwd()
    return video, None if data_root is None else data_root.absolute()


def _words(error: BaseException | None) -> str:
    """Return what an error says in one line, without the traceback that Ray puts into some."""
    text = re.split(r"\s+traceback\b", " ".join(str(error).split()), maxsplit=1, flags=re.IGNORECASE)[0]
    return f"{type(error).__name__}: {text[:300]}"
