"""What every entry, stage or command, does at its edges: arguments, machine settings, errors in one line."""

import argparse
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dualface import tables
from dualface.errors import DualfaceError, Stopped, printable

SECONDS_TO_SAVE = 60.0  # for a stage whose DVC has gone


def paths(description: str | None, **helps: str) -> argparse.Namespace:
    """Parse a stage's arguments: `--NAME PATH`, all required, and `--params` (params.yaml).

    The paths themselves stand in dvc.yaml, so that one file tells what flows where.
    """
    parser = argparse.ArgumentParser(description=description)
    for name, text in helps.items():
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help=text)
    # The values stand in the command so that DVC sees when params.yaml was changed while the stage ran: it
    # records the parameters after the run. They are read from the file, here as everywhere.
    parser.add_argument("--values", nargs=argparse.REMAINDER, help="the values, for DVC to compare; last of all")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="PATH", help="the parameters")
    return parser.parse_args()


def run(main: Callable[[], None]) -> None:
    """Run an entry; an error that the user can fix becomes one line and exit status 1."""
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        main()
    except Stopped as error:
        _tell_once(f"\nstopped: {error}\n")
        sys.exit(128 + signal.SIGTERM)
    except DualfaceError as error:
        sys.exit(f"error: {printable(str(error))}")
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        sys.exit(f"error: {printable(str(error.filename or 'writing'))}: {error.strerror or error}")
    except KeyboardInterrupt as error:
        told = str(error) or "nothing half-written was kept; `dvc repro` runs this stage again"
        sys.stderr.write(f"\ninterrupted: {told}\n")
        sys.exit(130)


def _leave_with_parent(parent: int) -> None:
    """End this process soon after its parent: a DVC that was killed must not leave a stage writing on.

    What can save its work (`stop_asked`) has time for that, as when its terminal hangs up; all else ends at once.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(SECONDS_TO_SAVE)
    os._exit(1)


def _tell_once(text: str) -> None:
    """Write to the terminal, on each machine once: of processes that work together the first speaks for all."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        with suppress(OSError):  # of a terminal that is gone
            sys.stderr.write(text)
            sys.stderr.flush()


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Give a question whether to stop: true from the first SIGTERM (a cluster's preemption), SIGHUP or Ctrl-C on.

    A second one ends the process as it always does, but for SIGHUP: it says that the parent has gone, who may have
    gone by the signal that came first.
    """
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    if before[signal.SIGHUP] == signal.SIG_IGN:  # nohup
        del before[signal.SIGHUP]

    def note(number: int, _frame: object) -> None:
        asked.append(number)
        for one, handler in before.items():
            signal.signal(one, signal.SIG_IGN if one == signal.SIGHUP else handler)
        _tell_once("\nstopping after this step\n")

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def data_root() -> Path | None:
    """Return the folder that `DUALFACE_DATA` names, or None where it is not set."""
    name = os.environ.get("DUALFACE_DATA")
    return Path(name) if name else None


def work_folder() -> Path:
    """Return the folder that `DUALFACE_WORK` names, else `.work` here: what long stages have done so far."""
    return Path(os.environ.get("DUALFACE_WORK") or ".work")


def engine() -> str:
    """Return the name of who makes the attempts of face extraction: `DUALFACE_ENGINE`, else `local`."""
    return os.environ.get("DUALFACE_ENGINE") or "local"


def shards() -> str | None:
    """Return the folder or URL that `DUALFACE_SHARDS` names, from which training streams; None where it is not set."""
    return os.environ.get("DUALFACE_SHARDS") or None


def workers() -> int:
    """Return the number of processes: `DUALFACE_WORKERS`, else the cores that this process may use.

    Raises:
        DualfaceError: the variable is not a positive whole number.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _count("DUALFACE_WORKERS", unset=cores)


def processes() -> int:
    """Return the number of processes that train together on this machine: `DUALFACE_PROCESSES`, else 1.

    Raises:
        DualfaceError: the variable is not a positive whole number.
    """
    return _count("DUALFACE_PROCESSES", unset=1)


def _count(name: str, *, unset: int) -> int:
    text = os.environ.get(name)
    if not text:
        return unset
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise DualfaceError(f"{name}: expected a whole number from 1, got {text[:40]!r}")
    return int(text)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file for git and for people: indented, in the order given, ending with a newline."""
    with tables.replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
