"""Extract the faces of many videos: go on where an earlier run ended, lose none, write in the manifest's order.

An engine makes the attempts and leaves a piece per video in the work folder; the shards are written from the pieces.
So every byte written depends on the videos and the parameters alone: not on the engine, the number of workers, or how
often the work was killed.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from dualface.errors import DualfaceError, ParamsError, ShardError
from dualface.faces import local, piece
from dualface.faces.detect import check_weights
from dualface.faces.supervisor import Done
from dualface.faces.work import Work
from dualface.key import RULE, is_valid
from dualface.ledger import WITH_FACES, Attempt
from dualface.manifest import Video
from dualface.params import FacesParams
from dualface.progress import VideoProgress
from dualface.shards.sample import MAX_FACE_BYTES

FIRST_CRASHES = 20  # attempts of a run that all crash: it is not the videos
ADVICE = {
    "refused": "raise faces.limit_megapixels or faces.limit_frames",
    "timeout": "raise faces.limit_seconds",
    "crashed": "this looks like a fault of the program or the machine: is there memory enough?",
    "unreadable": "are these the files that were meant?",
}


class Attempts(Protocol):
    """Makes attempts, on this machine or on others."""

    def __call__(
        self, videos: list[Video], *, into: Callable[[Video], Path], data_root: Path | None, settings: FacesParams
    ) -> Generator[Done]:
        """Yield each video with its row, in any order, once its piece is written where `into` says."""


def engine(name: str, *, workers: int) -> Attempts:
    """Choose who makes the attempts.

    Args:
        name: `local` (processes) or `ray` (a cluster).
        workers: processes of the local engine; a cluster knows its own.

    Raises:
        DualfaceError: the name is unknown, or Ray is not installed.
    """
    match name:
        case "local":
            return partial(local.attempts, workers=workers)
        case "ray":
            from dualface.faces import cluster  # noqa: PLC0415  (Ray is an extra)

            return cluster.attempts
        case _:
            raise DualfaceError(f"engine {name!r} is unknown; DUALFACE_ENGINE is local or ray")


def run(videos: list[Video], *, work: Work, settings: FacesParams, attempts: Attempts) -> dict[str, Attempt]:
    """Extract the faces of all videos that the work folder has no piece of yet, with progress on stderr.

    Args:
        videos: rows of the manifest.
        work: the open work folder.
        settings: the section `faces` of the parameters.
        attempts: who makes them.

    Returns:
        The row of each video, by key.

    Raises:
        ListingError: a file is missing or has changed since the manifest was made.
        DualfaceError: the work can't go on; what is done stays.
        KeyboardInterrupt: with a message that says so.
    """
    check(videos, settings)
    rows = {video.key: row for video in videos if (row := work.row(video)) is not None}
    left = [video for video in videos if video.key not in rows]
    with VideoProgress("faces", total=len(videos), done=len(rows)) as progress:
        if rows:
            progress.say(f"faces: {len(rows):,} of {len(videos):,} videos were done by an earlier run")
        try:
            with closing(attempts(left, into=work.partial, data_root=work.data_root, settings=settings)) as found:
                for done in found:
                    work.commit(done.video)
                    work.log(done.row, done.seconds)
                    rows[done.video.key] = done.row
                    _tell(done, progress)
        except KeyboardInterrupt:
            told = f"{len(rows):,} of {len(videos):,} videos are done and kept; `dvc repro` goes on from there"
            raise KeyboardInterrupt(told) from None
    _check_faces(list(rows.values()))
    return rows


def _tell(done: Done, progress: VideoProgress) -> None:
    row = done.row
    progress.advance(row.outcome, frames=row.frames)
    if row.outcome != "ok":
        progress.say(f"{done.video.path}: {row.outcome}: {row.reason}")
    if progress.outcomes["crashed"] == sum(progress.outcomes.values()) == FIRST_CRASHES:
        raise DualfaceError(f"all of the first {FIRST_CRASHES} videos crashed; {ADVICE['crashed']}")


def samples(videos: Iterable[Video], rows: dict[str, Attempt], *, work: Work) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of all videos that have some, in the order of `videos`.

    Raises:
        ShardError: pieces were damaged on disk; all of them are removed.
    """
    with_faces = [video for video in videos if rows[video.key].outcome in WITH_FACES]
    for number, video in enumerate(with_faces):
        try:
            yield from piece.read_samples(work.path(video))
        except ShardError as error:
            others = sum(not piece.is_sound(work.path(one)) for one in with_faces[number + 1 :])
            raise ShardError(f"{error}; and {others} more; run again to make them anew") from None


def check(videos: list[Video], settings: FacesParams) -> None:
    """Find what would stop the work after hours.

    Raises:
        DualfaceError: the faces of a video would be too many for a shard, a person's key is taken or too long, or the
            detector's weights are not there.
    """
    if settings.detector == "cnn":
        check_weights(Path(settings.weights))
    if (unpacked := settings.max_frames * settings.input_size**2 * 3) > MAX_FACE_BYTES:
        raise ParamsError(
            f"faces.max_frames: {settings.max_frames} faces of {settings.input_size} px are {unpacked / 2**30:.1f} GiB "
            f"a video, of at most {MAX_FACE_BYTES / 2**30:.0f}; lower it, or faces.input_size"
        )
    keys = {video.key for video in videos}
    others = {piece.person_key(key, number): key for key in keys for number in range(2, settings.people + 1)}
    if long := sorted(key for key in others if not is_valid(key)):
        raise DualfaceError(f"key {others[long[0]]!r} is too long for faces.people above 1: {RULE}; rename the video")
    if clash := sorted(keys & others.keys()):
        raise DualfaceError(
            f"key {clash[0]!r} is also what a person of {others[clash[0]]!r} would be called; rename the video, or set "
            "faces.people to 1"
        )


def _check_faces(rows: list[Attempt]) -> None:
    if any(row.outcome in WITH_FACES for row in rows):
        return
    outcomes = Counter(row.outcome for row in rows)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    reasons = Counter((row.outcome, row.reason) for row in rows)
    outcome, reason = min(
        reasons, key=lambda one: (-outcomes[one[0]], -reasons[one], one), default=("", "the manifest is empty")
    )
    advice = ADVICE.get(outcome, "look at the videos, or set faces.upsample to 1 or faces.min_faces lower")
    raise DualfaceError(f"no faces in any of {len(rows)} videos ({counts}); most common reason: {reason}; {advice}")
