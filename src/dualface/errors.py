"""The mistakes and losses that the pipeline can name, one type per cause.

Each message says what, where and what to do about it, in one line: it is all that a user sees.
"""


class DualfaceError(Exception):
    """An error that the user can fix; shown as one line, without a traceback."""


class ParamsError(DualfaceError):
    """params.yaml holds an unknown key, a wrong type or a value out of range."""


class TableError(DualfaceError):
    """A file between stages does not keep its contract (missing, wrong columns, forbidden values)."""


class ListingError(DualfaceError):
    """A listing, or the videos that it names, are not what they should be."""


class SubsetError(DualfaceError):
    """The videos at hand can't make the split that was asked for."""


class ShardError(DualfaceError):
    """A shard or one of its samples is missing or broken."""


class CheckpointError(DualfaceError):
    """A checkpoint, its card or a weights file can't be used."""


class TrainingError(DualfaceError):
    """Training can't start or go on."""


class Stopped(DualfaceError):
    """Training was asked to stop, and has saved what it has done."""


class VideoUnreadable(DualfaceError):
    """A video has no frame that can be decoded; the ledger keeps the reason."""


class VideoRefused(DualfaceError):
    """A video asks for more than the limits allow; the ledger keeps the reason."""


def shown(text: object, *, length: int = 80) -> str:
    """Make a foreign text fit for a message: one line, ASCII only, so that it can't move a terminal's cursor."""
    plain = " ".join(ascii(str(text)[: 10 * length])[1:-1].split())
    return plain if len(plain) <= length else f"{plain[: length - 3]}..."


def printable(text: str) -> str:
    """Write out what would move a terminal's cursor or start a new line; letters of all alphabets stay."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
