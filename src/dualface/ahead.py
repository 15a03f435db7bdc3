"""Work that is done ahead of who takes it, in a thread, so that reading and computing go on side by side."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], *, count: int) -> Iterator[T]:
    """Go through items in a thread, at most `count` of them ahead; what raises there is raised here, in its turn."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(_next, items) for _ in range(count))
        try:
            while given := waiting.popleft().result():
                waiting.append(thread.submit(_next, items))
                yield from given
        finally:
            for one in waiting:
                one.cancel()


def _next(items: Iterator[T]) -> list[T]:
    """Return the next item alone in a list; an empty list at the end."""
    for item in items:
        return [item]
    return []
