"""Progress bars on stderr: live on a terminal, a line now and then in a log."""

import sys
from typing import Any

from tqdm import tqdm

LIVE, LOG = 0.5, 30.0  # seconds between two updates; a log keeps every one


def bar(what: str, *, unit: str, total: int | None = None) -> "tqdm[Any]":
    """Make a bar for `total` units of `what`, with rate and time left."""
    pause = LIVE if sys.stderr.isatty() else LOG
    return tqdm(desc=what, unit=unit, total=total, mininterval=pause, maxinterval=pause, dynamic_ncols=True)
