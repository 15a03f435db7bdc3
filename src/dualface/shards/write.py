"""Write shards: the same samples give the same bytes."""

from collections.abc import Iterable
from pathlib import Path


def write(folder: Path, samples: Iterable[tuple[str, dict[str, bytes]]], *, shard_bytes: int) -> int:
    """Write samples into `folder/00000.tar`, `00001.tar`, ... in the order in which they come.

    Args:
        folder: an existing folder.
        samples: key and members (`sample.encode`), consumed one at a time; memory does not grow with their number.
        shard_bytes: a shard that has reached this many bytes of samples is closed.

    Returns:
        The number of samples written.
    """
    import webdataset  # noqa: PLC0415  (it loads torch, some 500 MB that processes which only cut faces do not need)

    written, filled, shard = 0, 0, None
    try:
        for key, members in samples:
            if shard is None or filled >= shard_bytes:
                if shard is not None:
                    shard.close()
                number = len(list(folder.glob("*.tar")))
                # mtime, user and mode are fixed: TarWriter's defaults stamp the present moment into each member.
                shard = webdataset.TarWriter(
                    str(folder / f"{number:05d}.tar"), mtime=0, user="", group="", mode=0o644, encoder=False
                )
                filled = 0
            shard.write({"__key__": key, **members})
            filled += sum(len(content) for content in members.values())
            written += 1
    finally:
        if shard is not None:
            shard.close()
    return written
