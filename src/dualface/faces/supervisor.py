"""A worker process and its end: whatever a video does to it, there is a row."""

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from dualface.errors import DualfaceError
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

COMMAND = (sys.executable, "-m", "dualface.faces.worker")
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
            answer, late = self._ask(request)
            if self._closed.is_set():
                raise DualfaceError("extraction was stopped")
            if answer is not None:
                return _unpacked(answer)
            ended = self._ended()
            into.unlink(missing_ok=True)
            if late:
                limit = f"{self._settings.limit_seconds:,.10g} s"
                return Attempt(video.key, "timeout", f"not done after {limit} (faces.limit_seconds)")
        return Attempt(video.key, "crashed", f"the process that worked on it {ended}, {TRIES} times")

    def close(self) -> None:
        """Kill the process; an attempt in work raises. `reap` it when no thread uses it any more."""
        self._closed.set()
        if self._process is not None:
            self._process.kill()

    def reap(self) -> None:
        """Wait for the end of the process and let go of it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
        """Return the answer, None where the process died; and whether it was killed for being late."""
        process, late = self._ready(), threading.Event()
        if process is None:
            return None, False

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._settings.limit_seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            line = _asked(process, json.dumps(request) + "\n")
        finally:
            timer.cancel()
        return (json.loads(line), False) if line.endswith("\n") else (None, late.is_set())

    def _ready(self) -> "subprocess.Popen[str] | None":
        """Return a process that waits for a request; None where it was killed while it started."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.reap()
        # A session of its own: Ctrl-C in a terminal reaches its parent only, who decides.
        process = subprocess.Popen(  # noqa: S603
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._process = process
        if self._closed.is_set():
            process.kill()
        if _line(process) == "ready\n":
            return process
        if process.wait() > 0:
            raise DualfaceError(f"a worker process can't start: it {self._ended()}; its last words are above")
        return None

    def _ended(self) -> str:
        if self._process is None:
            return "did not start"
        status = self._process.wait()
        if status >= 0:
            return f"ended with status {status}"
        name = signal.Signals(-status).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _asked(process: "subprocess.Popen[str]", request: str) -> str:
    try:
        if process.stdin is not None:
            process.stdin.write(request)
            process.stdin.flush()
    except BrokenPipeError:
        return ""
    return _line(process)


def _line(process: "subprocess.Popen[str]") -> str:
    return process.stdout.readline() if process.stdout is not None else ""


def _unpacked(answer: dict[str, Any]) -> Attempt:
    if "stop" in answer:
        raise DualfaceError(answer["stop"])
    return Attempt(**answer["row"])
