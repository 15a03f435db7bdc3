"""The two classes. FAKE is the positive class, everywhere in the project.

A score is P(fake): higher is more suspicious. Data sets that count the other way round are
converted when they are scanned (`dualface.datasets`), and nowhere else.
"""

from dualface.errors import DualfaceError

REAL = 0
FAKE = 1
NAMES = {REAL: "real", FAKE: "fake"}


def parse(text: str) -> int:
    """Turn the word of a listing, `real` or `fake` in any case, into its label.

    Raises:
        DualfaceError: any other word.
    """
    for label, name in NAMES.items():
        if text.strip().lower() == name:
            return label
    raise DualfaceError(f"label {text!r} is neither 'real' nor 'fake'")
