import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clips import picture, write_clip
from conftest import make_track
from dualface import ledger
from dualface.errors import DualfaceError, ListingError
from dualface.faces import engine
from dualface.faces.extract import Extract
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

SETTINGS = FacesParams(input_size=32, max_frames=12, min_faces=4, crop_scale=1.3, upsample=0, shard_megabytes=1)
ROOT = Path(__file__).resolve().parents[2]


def video(path, *, size=None, label=0, ranges=None):
    return Video(
        key=path.stem,
        dataset="folder",
        path=path.name,
        bytes=path.stat().st_size if size is None else size,
        label=label,
        identities=(path.stem,),
        fake_ranges=ranges,
    )


def named(*keys):
    return [Video(key=key, dataset="folder", path=f"{key}.mp4", bytes=1, label=0, identities=(key,)) for key in keys]


def slow_first(video, *, log):
    """Work that takes longer for the first key, and leaves a trace when it starts."""
    (log / video.key).touch()
    while video.key == "v00" and len(list(log.iterdir())) < 6:
        time.sleep(0.01)
    return engine.Result(Attempt(video.key, "ok", "", frames=1, faces=1), make_track(video.key))


def die_at(video, *, key):
    if video.key == key:
        os._exit(9)
    return engine.Result(Attempt(video.key, "ok", "", frames=1, faces=1), None)


def test_results_come_in_order_and_few_are_in_flight(tmp_path):
    videos = named(*[f"v{number:02d}" for number in range(14)])
    found = engine.in_order(partial(slow_first, log=tmp_path), videos, workers=2)
    first = next(found)
    assert len(list(tmp_path.iterdir())) <= 2 * engine.IN_FLIGHT
    assert [result.attempt.key for result in [first, *found]] == [video.key for video in videos]


def test_a_worker_that_dies_is_told_once_and_clearly():
    with pytest.raises(DualfaceError, match="worker process died at or soon after video 'b'"):
        list(engine.in_order(partial(die_at, key="b"), named("a", "b", "c"), workers=1))


def test_a_video_without_a_face_and_one_that_is_none_are_rows(tmp_path, capfd):
    blank = write_clip(tmp_path / "blank.mp4", [picture()] * 3)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 99)
    videos = [video(blank), video(broken)]
    found = list(engine.results(videos, data_root=tmp_path, settings=SETTINGS, workers=2))
    assert [result.attempt.outcome for result in found] == ["no_face", "unreadable"]
    assert all(result.track is None for result in found)
    assert "2/2" in capfd.readouterr().err


@pytest.mark.parametrize("size", [-1, 0, 10**9])
def test_a_file_that_changed_since_it_was_listed_stops_the_stage(tmp_path, size):
    path = tmp_path / "a.mp4"
    if size < 0:
        listed, message = video_of_missing(path), "not found"
    else:
        path.write_bytes(b"x")
        listed, message = video(path, size=size), "has 1 bytes"
    with pytest.raises(ListingError, match=message):
        next(engine.results([listed], data_root=tmp_path, settings=SETTINGS, workers=1))


def video_of_missing(path):
    path.write_bytes(b"x")
    listed = video(path)
    path.unlink()
    return listed


def test_kept_passes_samples_on_and_records_every_attempt():
    rows = [Attempt("a", "ok", "", 10, 10), Attempt("b", "no_face", "no face in 9 frames", 9, 0)]
    attempts = []
    tracks = list(engine.kept([engine.Result(rows[0], make_track("a")), engine.Result(rows[1], None)], attempts))
    assert [track.key for track in tracks] == ["a"]
    assert attempts == rows


def test_no_sample_at_all_stops_with_counts_and_the_common_reason():
    rows = [Attempt(key, "unreadable", reason, 0, 0) for key, reason in [("a", "odd"), ("b", "empty"), ("c", "empty")]]
    message = r"no faces in any of 3 videos \(3 unreadable\); most common reason: empty"
    with pytest.raises(DualfaceError, match=message):
        list(engine.kept([engine.Result(row, None) for row in rows], []))


def test_frames_get_their_own_labels_and_the_bytes_do_not_depend_on_the_workers(shared, tmp_path):
    # Workers import this file; webdataset, and torch with it, would cost each of them seconds.
    from dualface.shards import write  # noqa: PLC0415

    root = shared / "data" / "odd"
    one = video(root / "var_av1.mp4", label=1, ranges=((3, 5),))
    videos = [one, video(root / "var_one_frame.mp4"), video(root / "var_vfr.mp4")]
    shards = []
    for workers in (1, 2):
        attempts = []
        folder = tmp_path / str(workers)
        folder.mkdir()
        found = engine.results(videos, data_root=root, settings=SETTINGS, workers=workers)
        tracks = list(engine.kept(found, attempts))
        write.write(folder, tracks, shard_bytes=10**6)
        ledger.write(folder / "ledger.parquet", attempts)
        shards.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert shards[0] == shards[1]
    assert [attempt.outcome for attempt in attempts] == ["ok", "too_few_faces", "ok"]
    assert [index for index, label in zip(tracks[0].index, tracks[0].labels, strict=True) if label] == [3, 4]


def test_ctrl_c_ends_at_once_and_leaves_no_process(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text(
        "import signal\nfrom functools import partial\nfrom pathlib import Path\n"
        "from test_engine import named, hang\nfrom dualface import entry\nfrom dualface.faces import engine\n"
        f"work = partial(hang, log=Path({str(tmp_path)!r}))\n"
        "def main():\n    list(engine.in_order(work, named('a', 'b'), workers=2))\n"
        # A shell that runs the tests in the background makes them ignore the signal.
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    entry.run(main)\n"
    )
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "faces")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True) as child:
        try:
            pids = [wait_for(tmp_path / key) for key in "ab"]
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130
    assert "Traceback" not in stderr
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def hang(video, *, log):
    (log / f"{video.key}.part").write_text(str(os.getpid()))
    (log / f"{video.key}.part").rename(log / video.key)
    time.sleep(300)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(path.read_text())


def test_a_fake_without_a_fake_frame_is_a_row_and_no_sample(tmp_path, monkeypatch):
    clip = tmp_path / "a.mp4"
    write_clip(clip, [picture()] * 3)
    faces = np.zeros((3, 32, 32, 3), np.uint8)
    found = Extract("ok", "", 3, faces, np.arange(3, dtype=np.int32), np.zeros((3, 4), np.int32), {})
    monkeypatch.setattr(engine, "extract", lambda *_, **__: found)
    partly, beyond = (
        engine.attempt(video(clip, label=1, ranges=ranges), data_root=tmp_path, settings=SETTINGS)
        for ranges in (((2, 9),), ((5000, 6000),))
    )
    assert partly.track.labels.tolist() == [0, 0, 1]
    assert (beyond.attempt.outcome, beyond.track) == ("no_fake_frame", None)
    assert "5000:6000" in beyond.attempt.reason
