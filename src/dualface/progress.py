"""Progress on stderr: a live bar on a terminal, plain lines in a log."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

LIVE, LOG = 0.5, 30.0  # seconds between two updates; a log keeps every one


def bar(what: str, *, unit: str, total: int | None = None, shown: bool = True) -> "tqdm[Any]":
    """Make a bar for `total` units of `what`, with rate and time left; with `shown` false, one that says nothing."""
    pause = LIVE if sys.stderr.isatty() else LOG
    return tqdm(
        desc=what, unit=unit, total=total, mininterval=pause, maxinterval=pause, dynamic_ncols=True, disable=not shown
    )


class VideoProgress:
    """How far a job over videos is: videos and frames per second, time left, and what came of them.

    Attributes:
        outcomes: how many videos came to what, in this run.
    """

    def __init__(self, what: str, *, total: int, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            what: the job, in a word.
            total: number of videos.
            done: of these, done by an earlier run; no rate counts them.
            clock: seconds.
        """
        self.what, self.total, self.done = what, total, done
        self._before, self._frames, self.outcomes = done, 0, Counter[str]()
        self._clock = clock
        self._began = self._told = clock()
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(desc=what, unit="video", total=total, initial=done, mininterval=LIVE, dynamic_ncols=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Say for the last time how far it is."""
        if self._bar is not None:
            self._bar.close()
        elif self.done > self._before:
            self._line()

    def advance(self, outcome: str, *, frames: int) -> None:
        """Count a video more."""
        self.done += 1
        self._frames += frames
        self.outcomes[outcome] += 1
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._speed()}, {self._came()}", refresh=False)
            self._bar.update()
        elif self._clock() - self._told >= LOG:
            self._line()

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            sys.stderr.write(f"{text}\n")

    def _line(self) -> None:
        self._told = self._clock()
        rate = (self.done - self._before) / max(self._told - self._began, 1e-9)
        left = f", {_time((self.total - self.done) / rate)} left" if self.done < self.total else ""
        head = f"{self.what}: {self.done:,} of {self.total:,} videos"
        sys.stderr.write(f"{head}, {rate:.2f} videos/s, {self._speed()}{left}; {self._came()}\n")
        sys.stderr.flush()

    def _speed(self) -> str:
        return f"{self._frames / max(self._clock() - self._began, 1e-9):.0f} frames/s"

    def _came(self) -> str:
        return ", ".join(f"{number:,} {outcome}" for outcome, number in self.outcomes.most_common())


def _time(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 2:
        return f"{hours:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
