"""The work folder: what an extraction has done so far, so that a kill costs only the videos in work.

    ROOT/faces-HASH/lock                     held while a process works here
    ROOT/faces-HASH/KEY-HASH.piece           what came of one video
    ROOT/faces-HASH/partial/                 what is being written
    ROOT/faces-HASH/log.csv                  key, outcome, frames, seconds of each attempt
    ROOT/faces-HASH/complete                 every video had its piece, and the shards were written

The folder's hash is that of the parameters and of the code that shape a piece; the piece's is that of the video's row
in the manifest, and of its file's size and time. So new videos cost themselves only, and a changed value, program or
file is never mistaken for the old one.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dualface import tables, workfolder
from dualface.errors import DualfaceError, ListingError
from dualface.faces import piece
from dualface.faces.attempt import located
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

# All that an attempt runs. Who makes the attempts, and what is done with the pieces, is not of it.
CODE = (
    *(f"faces/{name}.py" for name in ("attempt", "crop", "detect", "extract", "piece", "search", "smooth", "spill")),
    *("faces/track.py", "faces/worker.py", "shards/sample.py", "video.py", "frame.py", "manifest.py", "ledger.py"),
    *("label.py", "key.py"),
)
NAME = re.compile(r"faces-[0-9a-f]{16}")
LIBRARIES = ("av", "cv2", "dlib", "numpy", "zstandard")
# Of the weights, one content only is taken, and the code knows its hash.
SHAPE_NO_PIECE = {"shard_megabytes", "limit_seconds", "weights"}


@dataclass(frozen=True)
class Work:
    """An open work folder.

    Attributes:
        folder: this extraction's.
        data_root: the folder under which videos lie, None where all lie in the repository.
        names: of the videos' pieces, by key, as their files were when the work began.
    """

    folder: Path
    data_root: Path | None
    names: dict[str, str]

    def partial(self, video: Video) -> Path:
        """Say where a video's piece is written."""
        return self.folder / "partial" / f"{video.key}.piece"

    def commit(self, video: Video) -> None:
        """Make what was written at `partial` the video's piece, if anything was.

        Raises:
            ListingError: the video's file has changed since the work began.
        """
        partial = self.partial(video)
        if not partial.exists():
            return
        if self.folder / _name(video, self.data_root) != self.path(video):
            raise ListingError(f"{video.path}: changed while it was read; scan it again")
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # a power failure must not leave a name without its content
        partial.replace(self.path(video))

    def log(self, row: Attempt, seconds: float) -> None:
        """Note what an attempt took, in seconds of wall time: not a fact about the video, so not for the ledger."""
        with (self.folder / "log.csv").open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write("key,outcome,frames,seconds\n")
            file.write(f"{row.key},{row.outcome},{row.frames},{seconds:.3f}\n")

    def path(self, video: Video) -> Path:
        """Say where a video's piece is."""
        return self.folder / self.names[video.key]

    def row(self, video: Video) -> Attempt | None:
        """Return a video's row of the ledger; None where there is no piece yet."""
        return piece.read_row(self.path(video), video.key)

    def finish(self) -> list[str]:
        """Mark the work as complete, and remove what is of no more use: outdated pieces, other complete works.

        Returns:
            What was left alone, in words: unfinished work with other parameters or programs.
        """
        (self.folder / "complete").touch()
        for path in self.folder.glob("*.piece"):
            # Pieces of videos that are not listed now stay: the listing may be a part of a longer one.
            if self.names.get(path.stem.rpartition("-")[0], path.name) != path.name:
                path.unlink()
        others = sorted(path for path in self.folder.parent.iterdir() if path != self.folder and _is_work(path))
        return [told for path in others if (told := _cleared(path))]


@contextmanager
def opened(root: Path, *, videos: list[Video], settings: FacesParams, data_root: Path | None) -> Iterator[Work]:
    """Open the work folder of these settings, alone.

    Args:
        root: the folder of all work.
        videos: rows of the manifest.
        settings: the section `faces` of the parameters.
        data_root: the folder under which the videos lie.

    Raises:
        DualfaceError: another process works there.
        ListingError: a video's file is missing, or is not the one that was listed.
        OSError: the folder can't be written to.
    """
    names = {video.key: _name(video, data_root) for video in videos}
    # Not Path.resolve: up to Python 3.12 it raises RuntimeError on a ring of links.
    work = Work(Path(os.path.realpath(root)) / f"faces-{identity(settings)}", data_root, names)
    work.folder.mkdir(parents=True, exist_ok=True)
    with workfolder.locked(work.folder, doing="extracting into"):
        tables.remove(work.folder / "partial")
        (work.folder / "partial").mkdir()
        (work.folder / "complete").unlink(missing_ok=True)
        yield work


def identity(settings: FacesParams) -> str:
    """Return a hash of all that shapes a piece beside the video: parameters, program, libraries."""
    package = Path(__file__).parents[1]
    facts = {
        "settings": settings.model_dump(exclude=SHAPE_NO_PIECE),
        "code": [workfolder.file_digest(package / file) for file in CODE],
        "libraries": {name: sys.modules[name].__version__ for name in LIBRARIES},
    }
    return workfolder.digest(facts)


def _name(video: Video, data_root: Path | None) -> str:
    status = located(video, data_root).stat()
    return f"{video.key}-{workfolder.digest([asdict(video), status.st_size, status.st_mtime_ns])}.piece"


def _is_work(path: Path) -> bool:
    """Say whether a path is a work folder, of which only this module's files are to be removed."""
    ours = NAME.fullmatch(path.name) and not path.is_symlink() and path.is_dir() and (path / "lock").is_file()
    return bool(ours) and all(
        one.suffix == ".piece" or one.name in ("lock", "log.csv", "partial", "complete") for one in path.iterdir()
    )


def _cleared(folder: Path) -> str | None:
    """Remove another work folder if it is complete and nobody's; else say what it holds."""
    pieces = list(folder.glob("*.piece"))
    try:
        with workfolder.locked(folder, doing="extracting into"):
            if (folder / "complete").exists() or not pieces:
                tables.remove(folder)
                return None
    except DualfaceError:
        return None  # it is at work
    megabytes = sum(path.stat().st_size for path in pieces) / 1e6
    return (
        f"{folder} keeps {len(pieces):,} videos ({megabytes:,.0f} MB) of a run with other parameters that did not end"
    )
