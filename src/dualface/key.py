"""The key of a video: one unique name, used for it in every table and shard."""

import re

# A webdataset key ends at the first dot, and a key becomes a member's name in a tar.
PATTERN = re.compile(r"[A-Za-z0-9_-]{1,200}")
RULE = "a key has 1 to 200 letters, digits, '_' and '-' only"


def is_valid(key: str) -> bool:
    """Say whether `key` may name a video."""
    return PATTERN.fullmatch(key) is not None
