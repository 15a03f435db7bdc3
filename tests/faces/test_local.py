import pytest

from dualface.errors import DualfaceError
from dualface.faces import local
from dualface.params import FacesParams
from rows import make_video, plain_params


def attempts(tmp_path, *keys, workers=2, seconds=0.5):
    settings = FacesParams(**{**plain_params()["faces"], "limit_seconds": seconds})
    videos = [make_video(key) for key in keys]
    into = lambda video: tmp_path / f"{video.key}.piece"  # noqa: E731
    return local.attempts(videos, into=into, data_root=None, settings=settings, workers=workers)


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_video_has_one_row_whatever_happens_to_its_process(tmp_path, fake_worker, workers):
    keys = ["a", "segfault", "b", "hangs", "once", "c"]
    rows = {done.video.key: done.row.outcome for done in attempts(tmp_path, *keys, workers=workers)}
    assert rows == {"a": "ok", "segfault": "crashed", "b": "ok", "hangs": "timeout", "once": "ok", "c": "ok"}


def test_no_video_is_begun_before_one_is_taken(tmp_path, fake_worker):
    found = attempts(tmp_path, *"abcdefgh", workers=2)
    next(found)
    assert len((tmp_path / "asked").read_text().split()) <= 2
    found.close()


def test_an_error_ends_all_processes(tmp_path, fake_worker):
    with pytest.raises(DualfaceError, match="the disk is full"):
        list(attempts(tmp_path, "hangs", "stops", seconds=300))


def test_no_videos_take_no_process(tmp_path, fake_worker):
    assert list(attempts(tmp_path)) == []
