"""One video's attempt: from its row of the manifest to its piece."""

from pathlib import Path

from dualface import manifest, video
from dualface.errors import ListingError
from dualface.faces import detect, piece
from dualface.faces.extract import Wanted, extract
from dualface.faces.spill import Spill, writing
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams


def attempt(one: Video, *, data_root: Path | None, settings: FacesParams, into: Path) -> Attempt:
    """Extract the faces of one video and write its piece.

    Args:
        one: row of the manifest.
        data_root: the folder under which the videos lie.
        settings: the section `faces` of the parameters.
        into: the file to write; its folder takes crops that do not fit into memory.

    Returns:
        The video's row of the ledger.

    Raises:
        ListingError: its file is missing or has changed since the manifest was made.
        DualfaceError: the detector can't be made, or nothing can be written.
        OSError: the file can't be read.
    """
    with Spill(settings.input_size, folder=into.parent) as spill:
        found = extract(
            located(one, data_root),
            detect=_detector(settings),
            wanted=Wanted(
                crop_scale=settings.crop_scale,
                max_frames=settings.max_frames,
                min_faces=settings.min_faces,
                people=settings.people,
                stride=settings.stride,
                smooth=settings.smooth,
            ),
            limits=video.Limits(pixels=int(settings.limit_megapixels * 1e6), frames=settings.limit_frames),
            spill=spill,
        )
        try:
            with writing(into.parent):
                return piece.write(into, one, found)
        except BaseException:
            into.unlink(missing_ok=True)  # what is there counts as whole
            raise


def located(one: Video, data_root: Path | None) -> Path:
    """Say where a video's file lies, after checking that it is the one that was listed.

    Raises:
        ListingError: it is missing, or its size is not the manifest's.
    """
    path = manifest.locate(one, data_root)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ListingError(f"{path}: not found; scan again with `dualface scan` if it was removed") from None
    if size != one.bytes:
        raise ListingError(f"{path}: has {size} bytes, but {one.bytes} when it was listed; fetch or scan it again")
    return path


def _detector(settings: FacesParams) -> detect.Detector:
    pixels = int(settings.search_megapixels * 1e6)
    match settings.detector:
        case "hog":
            return detect.hog(upsample=settings.upsample, pixels=pixels)
        case "cnn":
            return detect.cnn(Path(settings.weights), upsample=settings.upsample, pixels=pixels)
