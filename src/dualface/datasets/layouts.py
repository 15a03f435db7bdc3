"""Recognises data sets by the paths of their videos, to say where one lies that was looked for in the wrong place."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from dualface.datasets import celebdf, dfd, dfdc_parts, ffpp, folder

NAMES = {"ffpp": "FaceForensics++", "dfd": "DFD", "celebdf": "Celeb-DF", "dfdc": "DFDC", "folder": "real/ and fake/"}


def recognised(paths: Iterable[str], *, lists: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Find the data sets that videos are of.

    Args:
        paths: absolute POSIX paths of videos.
        lists: absolute POSIX paths of folders that hold a list of DFDC.

    Returns:
        Data set and root of each, the most telling layout first.
    """
    found = {(dataset, root) for path in paths for dataset, root in _of_path(PurePosixPath(path))}
    found |= {("dfdc", one) for one in lists if not dfdc_parts.PART.fullmatch(PurePosixPath(one).name)}
    found |= {("folder", root) for half, root in found if half == "real" and ("fake", root) in found}
    return sorted((one for one in found if one[0] in NAMES), key=lambda one: (list(NAMES).index(one[0]), one[1]))


def _of_path(path: PurePosixPath) -> list[tuple[str, str]]:
    """Try each folder above the video as root; `real` and `fake` are halves of the folder layout."""
    found = []
    for root in path.parents:
        rest = path.relative_to(root).as_posix()
        found += [
            (dataset, root.as_posix())
            for dataset, parsed in (("celebdf", celebdf.parsed), ("ffpp", ffpp.parsed), ("dfd", dfd.parsed))
            if parsed(rest, 0)
        ]
        top = PurePosixPath(rest).parts[0]
        found += [(top, root.as_posix())] if top in folder.FOLDERS and top != rest else []
        found += [("dfdc", root.as_posix())] if dfdc_parts.PART.fullmatch(top) else []
    return found
