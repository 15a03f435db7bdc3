"""A worker process and its end: whatever a video does to it, there is a row."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from dualface import ledger
from dualface.errors import DualfaceError, TableError
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

COMMAND = (sys.executable, "-m", "dualface.faces.worker")
MOST_LETTERS = 100_000  # of an answer: what a process says must not take this one's memory
START_SECONDS = 120.0  # that a process may take until it is ready; on a busy machine, libraries load slowly
TRIES = 2  # a process can also be killed for want of memory that other processes took


class Done(NamedTuple):
    """An attempt that was made: the video, its row of the ledger, and the seconds of wall time that it took."""

    video: Video
    row: Attempt
    seconds: float


class Supervisor:
    """Has attempts made by a process of its own, which it starts when needed and replaces when it dies.

    For one thread at a time, but for `close`, which any may call.
    """

    def __init__(self, *, data_root: Path | None, settings: FacesParams) -> None:
        self._data_root, self._settings = data_root, settings
        self._process: subprocess.Popen[str] | None = None
        self._closed = threading.Event()

    def attempt(self, video: Video, *, into: Path) -> Done:
        """Have a video's faces extracted.

        Args:
            video: row of the manifest.
            into: the piece to write; there is none where the row tells of something other than the video itself
                (`timeout`, `crashed`, a file that the system fails to read): the next run tries again.

        Raises:
            DualfaceError: the whole job can't go on; or `close` was called.
        """
        began = time.monotonic()
        row = self._tried(video, into)
        return Done(video, row, time.monotonic() - began)

    def _tried(self, video: Video, into: Path) -> Attempt:
        request = {
            "video": asdict(video),
            "settings": self._settings.model_dump(),
            "data_root": None if self._data_root is None else str(self._data_root),
            "into": str(into),
        }
        for _ in range(TRIES):
            line, late = self._asked(json.dumps(request) + "\n")
            if self._closed.is_set():
                raise DualfaceError("extraction was stopped")
            if line.endswith("\n"):
                return _unpacked(line, video)
            ended = self._ended()
            into.unlink(missing_ok=True)
            if late:
                limit = f"{self._settings.limit_seconds:,.10g} s"
                return Attempt(video.key, "timeout", f"not done after {limit} (faces.limit_seconds)")
        return Attempt(video.key, "crashed", f"the process that worked on it {ended}, {TRIES} times")

    def close(self) -> None:
        """Kill the process; an attempt in work raises. `reap` it when no thread uses it any more."""
        self._closed.set()
        self._kill()

    def reap(self) -> None:
        """Kill the process, wait for its end, and let go of it."""
        self._kill()
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # and whatever it started

    def _asked(self, request: str) -> tuple[str, bool]:
        """Return the line that answers, cut short where the process died; and whether it was killed for being late."""
        late = threading.Event()
        with self._killed_after(START_SECONDS, threading.Event()):
            process = self._ready()
        if process is None or process.stdin is None or process.stdout is None:
            return "", False
        with self._killed_after(self._settings.limit_seconds, late), suppress(BrokenPipeError):
            process.stdin.write(request)
            process.stdin.flush()
            return process.stdout.readline(MOST_LETTERS), late.is_set()
        return "", late.is_set()

    @contextmanager
    def _killed_after(self, seconds: float, late: threading.Event) -> Iterator[None]:
        def kill() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _ready(self) -> "subprocess.Popen[str] | None":
        """Return a process that waits for a request; None where it was killed while it started."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.reap()
        # A session of its own: Ctrl-C in a terminal reaches its parent only, who decides.
        process = self._process = subprocess.Popen(  # noqa: S603
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        if self._closed.is_set():
            self._kill()
        if process.stdout is not None and process.stdout.readline() == "ready\n":
            return process
        if not self._closed.is_set() and process.poll() is None:
            self._kill()  # it says something else
        if process.wait() > 0:
            raise DualfaceError(f"a worker process can't start: it {self._ended()}; its own words tell why")
        return None

    def _ended(self) -> str:
        self._kill()  # it may have closed its output only
        if self._process is None:
            return "did not start"
        status = self._process.wait()
        if status >= 0:
            return f"ended with status {status}"
        known = {one.value: one.name for one in signal.Signals}
        why = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"was killed by {known.get(-status, f'signal {-status}')}{why}"


def _unpacked(line: str, video: Video) -> Attempt:
    """Take the row out of an answer, which a video may have had a hand in.

    Raises:
        DualfaceError: the answer is that the job can't go on.
    """
    try:
        answer = json.loads(line)
        if set(answer) == {"stop"}:
            raise DualfaceError(str(answer["stop"]))
        row = Attempt(**answer["row"])
        ledger.check(row, key=video.key)
    except (ValueError, TypeError, KeyError, RecursionError, TableError):
        return Attempt(video.key, "crashed", "the process that worked on it gave no answer that makes sense")
    return row
