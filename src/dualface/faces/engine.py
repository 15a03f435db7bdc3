"""Extract faces from many videos: one process per core, results in the order of the manifest.

At most IN_FLIGHT videos per worker are handed out and not yet written, so that one slow video can't let
finished ones pile up in memory. The order of results, and so every byte written, does not depend on the
number of workers.
"""

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2

from dualface import manifest
from dualface.errors import DualfaceError, ListingError
from dualface.faces.detect import hog
from dualface.faces.extract import extract
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams
from dualface.progress import bar
from dualface.shards.sample import FaceTrack

IN_FLIGHT = 4


class Result(NamedTuple):
    """One video's row of the ledger, and its sample where it has one."""

    attempt: Attempt
    track: FaceTrack | None


def results(videos: list[Video], *, data_root: Path | None, settings: FacesParams, workers: int) -> Iterator[Result]:
    """Extract the faces of all videos, with a progress bar on stderr.

    Args:
        videos: rows of the manifest.
        data_root: the folder under which their files lie.
        settings: the section `faces` of the parameters.
        workers: number of processes, each with one thread.

    Yields:
        One result per video, in the order of `videos`.

    Raises:
        ListingError: a file is missing or has changed since the manifest was made.
        DualfaceError: a worker process died.
    """
    for video in videos:
        located(video, data_root)
    work = partial(attempt, data_root=data_root, settings=settings)
    outcomes: Counter[str] = Counter()
    with bar("faces", unit="video", total=len(videos)) as shown:
        for result in in_order(work, videos, workers=max(1, min(workers, len(videos)))):
            outcomes[result.attempt.outcome] += 1
            shown.set_postfix(outcomes, refresh=False)
            shown.update()
            yield result


def kept(found: Iterable[Result], attempts: list[Attempt]) -> Iterator[FaceTrack]:
    """Yield the samples among results; every attempt is appended to `attempts`.

    Raises:
        DualfaceError: at the end, if there was no sample at all.
    """
    empty = True
    for result in found:
        attempts.append(result.attempt)
        if result.track is not None:
            empty = False
            yield result.track
    if empty:
        outcomes = Counter(attempt.outcome for attempt in attempts)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        reasons = Counter(attempt.reason for attempt in attempts)
        common = min(reasons, key=lambda reason: (-reasons[reason], reason), default="the manifest is empty")
        raise DualfaceError(
            f"no faces in any of {len(attempts)} videos ({counts}); most common reason: {common}; "
            "look at the videos, or set faces.upsample to 1 or faces.min_faces lower"
        )


def attempt(video: Video, *, data_root: Path | None, settings: FacesParams) -> Result:
    """Extract the faces of one video.

    Raises:
        ListingError: its file is missing or has changed since the manifest was made.
    """
    found = extract(
        located(video, data_root),
        detect=hog(settings.upsample),
        input_size=settings.input_size,
        crop_scale=settings.crop_scale,
        max_frames=settings.max_frames,
        min_faces=settings.min_faces,
    )
    row = Attempt(video.key, found.outcome, found.reason, frames=found.frames, faces=len(found.faces))
    if not len(found.faces):
        return Result(row, None)
    labels = manifest.frame_labels(video, found.index)
    if video.label and not labels.any():
        ranges = " ".join(f"{start}:{end}" for start, end in video.fake_ranges or ())
        reason = f"none of its {len(found.faces)} faces is in its fake frames {ranges}; raise faces.max_frames?"
        return Result(Attempt(video.key, "no_fake_frame", reason, frames=found.frames, faces=0), None)
    return Result(row, FaceTrack(video.key, found.faces, found.index, found.boxes, labels, found.meta))


def located(video: Video, data_root: Path | None) -> Path:
    """Say where a video's file lies, after checking that it is the one that was listed.

    Raises:
        ListingError: it is missing, or its size is not the manifest's.
    """
    path = manifest.locate(video, data_root)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ListingError(f"{path}: not found; scan again with `dualface scan` if it was removed") from None
    if size != video.bytes:
        raise ListingError(f"{path}: has {size} bytes, but {video.bytes} when it was listed; fetch or scan it again")
    return path


def in_order(work: Callable[[Video], Result], videos: list[Video], *, workers: int) -> Iterator[Result]:
    """Yield `work(video)` of each video, in their order, done by that many processes.

    Raises:
        DualfaceError: a process died. What `work` raises is raised here.
    """
    with _pool(workers) as pool:
        waiting: deque[tuple[Video, Future[Result]]] = deque()
        for video in videos:
            waiting.append((video, pool.submit(work, video)))
            if len(waiting) >= IN_FLIGHT * workers:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _result(video: Video, future: "Future[Result]") -> Result:
    try:
        return future.result()
    except BrokenProcessPool:
        raise DualfaceError(
            f"a worker process died at or soon after video {video.key!r} (killed, or out of memory?); "
            "run again, with a smaller DUALFACE_WORKERS if memory is short"
        ) from None


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # spawn: a fork would copy the locks of this process's threads (tqdm, arrow) in whatever state they are.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()  # Ctrl-C must not wait for the videos in work
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; a traceback per worker helps no one
    cv2.setNumThreads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    # A parent that was killed can't stop its workers; they would hold their memory for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
