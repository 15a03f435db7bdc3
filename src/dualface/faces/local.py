"""Attempts on this machine: one worker process per core."""

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from dualface.faces.supervisor import Done, Supervisor
from dualface.manifest import Video
from dualface.params import FacesParams


def attempts(
    videos: list[Video],
    *,
    into: Callable[[Video], Path],
    data_root: Path | None,
    settings: FacesParams,
    workers: int,
) -> Generator[Done]:
    """Make attempts, in whatever order they are done.

    Args:
        videos: rows of the manifest.
        into: says where a video's piece is to be written.
        data_root: the folder under which the videos lie.
        settings: the section `faces` of the parameters.
        workers: number of processes, each with one thread.

    Yields:
        What was done, once its piece is written. A video more is begun only after one was taken.

    Raises:
        DualfaceError: the job can't go on.
    """
    idle = [Supervisor(data_root=data_root, settings=settings) for _ in range(max(1, min(workers, len(videos))))]
    everyone = list(idle)
    waiting = iter(videos)
    running: dict[Future[Done], Supervisor] = {}
    threads = ThreadPoolExecutor(len(everyone))  # they only wait for their processes
    try:
        while True:
            while idle and (video := next(waiting, None)) is not None:
                one = idle.pop()
                running[threads.submit(one.attempt, video, into=into(video))] = one
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                idle.append(running.pop(future))
                yield future.result()
    finally:
        for one in everyone:
            one.close()
        threads.shutdown()
        for one in everyone:
            one.reap()
