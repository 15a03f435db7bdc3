"""Words of a foreign file in our messages."""


def shown(text: object, *, length: int = 80) -> str:
    """Make a foreign text fit for a message: one line, ASCII only, so that it can't move a terminal's cursor."""
    plain = " ".join(ascii(str(text)[: 10 * length])[1:-1].split())
    return plain if len(plain) <= length else f"{plain[: length - 3]}..."
