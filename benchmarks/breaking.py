"""Break a file, at random but by a seed: for benchmarks/fuzz.py and its slice in the tests."""

import numpy as np

KINDS = ("flips", "header", "truncation", "splice", "removal", "zeros")


def broken(content: bytes, other: bytes, *, kind: str, rng: np.random.Generator) -> bytes:
    """Break a file.

    Args:
        content: of the file.
        other: another file's, from which pieces may come.
        kind: one of `KINDS`.
        rng: draws places and lengths.
    """
    copy = bytearray(content)
    start = int(rng.integers(len(copy)))
    length = min(int(2 ** rng.uniform(0, 12)), len(copy) // 2)
    match kind:
        case "flips":
            _flip(copy, rng.integers(len(copy) * 8, size=int(2 ** rng.uniform(0, 9))))
        case "header":  # where the tables are: at the start, and in MP4 at the end
            near = rng.integers(min(2048, len(copy)) * 8, size=int(2 ** rng.uniform(0, 5)))
            _flip(copy, near if rng.random() < 0.5 else len(copy) * 8 - 1 - near)
        case "truncation":
            del copy[start:]
        case "splice":
            source = int(rng.integers(len(other)))
            end = start + length * int(rng.integers(2))  # inserted, or in place of as much
            copy[start:end] = other[source : source + length]
        case "removal":
            del copy[start : start + length]
        case "zeros":
            copy[start : start + length] = bytes(min(length, len(copy) - start))
        case _:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    return bytes(copy)


def _flip(content: bytearray, bits: np.ndarray) -> None:
    for bit in bits.tolist():
        content[bit // 8] ^= 1 << bit % 8
