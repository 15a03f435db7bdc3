"""Write shards: the same tracks give the same bytes."""

from collections.abc import Iterable
from pathlib import Path

from dualface.shards.sample import FaceTrack, encode


def write(folder: Path, tracks: Iterable[FaceTrack], *, shard_bytes: int) -> int:
    """Write tracks into `folder/00000.tar`, `00001.tar`, ... in the order in which they come.

    Args:
        folder: an existing folder.
        tracks: consumed one at a time; memory does not grow with their number.
        shard_bytes: a shard that has reached this many bytes of samples is closed.

    Returns:
        The number of samples written.
    """
    import webdataset  # noqa: PLC0415  (it loads torch, some 500 MB that processes which only cut faces do not need)

    written, filled, shard = 0, 0, None
    try:
        for track in tracks:
            members = encode(track)
            if shard is None or filled >= shard_bytes:
                if shard is not None:
                    shard.close()
                number = len(list(folder.glob("*.tar")))
                # mtime, user and mode are fixed: TarWriter's defaults stamp the present moment into each member.
                shard = webdataset.TarWriter(
                    str(folder / f"{number:05d}.tar"), mtime=0, user="", group="", mode=0o644, encoder=False
                )
                filled = 0
            shard.write({"__key__": track.key, **members})
            filled += sum(len(content) for content in members.values())
            written += 1
    finally:
        if shard is not None:
            shard.close()
    return written
