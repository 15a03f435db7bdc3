"""The process that works on videos, one after the other, and may die of any of them: `python -m dualface.faces.worker`.

It reads requests from its standard input and writes answers to its standard output, a line of JSON each: nothing that
a video could do to it reaches the process that asks as more than text. When its input ends, it ends.
"""

import errno
import json
import os
import queue
import resource
import sys
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import cv2
import dlib

from dualface import manifest
from dualface.errors import DualfaceError
from dualface.faces.attempt import attempt
from dualface.ledger import Attempt
from dualface.params import FacesParams

NOT_THE_VIDEO = {errno.ENOENT, errno.EMFILE, errno.ENFILE}
# Beside what the process takes to start. A video within the limits takes 200 MB; a forged one could take the machine.
MOST_BYTES = 1_000_000_000


def main() -> None:
    """Answer requests until there are no more."""
    # Libraries that print must not print into the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cv2.setNumThreads(1)
    _limit_memory()
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    answers.write("ready\n")
    while True:
        answers.write(json.dumps(answer(json.loads(requests.get()))) + "\n")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do one attempt.

    Args:
        request: `video` (row of the manifest), `settings` (section `faces`), `data_root` and `into` (paths).

    Returns:
        `row`, a row of the ledger; or `stop`, in words, where the whole job can't go on.
    """
    video = manifest.of_row(request["video"])
    root = request["data_root"]
    try:
        row = attempt(
            video,
            data_root=None if root is None else Path(root),
            settings=FacesParams(**request["settings"]),
            into=Path(request["into"]),
        )
    except DualfaceError as error:
        return {"stop": str(error)}
    except OSError as error:
        words = f"{error.strerror or error}"
        if error.errno in NOT_THE_VIDEO:
            return {"stop": f"{video.path}: {words}"}
        row = Attempt(video.key, "unreadable", f"can't be read: {words}")
    except MemoryError:
        row = Attempt(video.key, "refused", f"takes more than {MOST_BYTES // 10**6:,} MB of memory")
    except Exception as error:  # noqa: BLE001  (a hostile video may find any hole; the row names it)
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())[:200]
        where = f"{Path(place.filename).name}:{place.lineno}"
        row = Attempt(video.key, "crashed", f"{type(error).__name__} at {where}: {words}")
    return {"row": asdict(row)}


def _limit_memory() -> None:
    """Have the system refuse more memory than a video can be worth; what asks for it then fails, and has its row."""
    if sys.platform != "linux" or dlib.DLIB_USE_CUDA:  # a GPU's driver takes addresses without end
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    limit = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _read(file: IO[str], requests: "queue.SimpleQueue[str]") -> None:
    for line in file:
        requests.put(line)
    os._exit(0)  # who asked is gone, or done: a video in work is of no more use


if __name__ == "__main__":
    main()
