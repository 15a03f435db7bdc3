import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from clips import picture, write_clip
from conftest import ROOT
from dualface.errors import CheckpointError, DualfaceError, ListingError, ParamsError
from dualface.faces import engine, local, work
from dualface.faces.supervisor import Done
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams
from dualface.shards import sample
from rows import files_below, plain_params

ENGINE = partial(local.attempts, workers=2)


@pytest.fixture
def settings():
    return FacesParams(**{**plain_params()["faces"], "max_frames": 12, "min_faces": 4, "limit_seconds": 60})


def video(path, *, bytes_=None, label=0, ranges=None):
    return Video(
        key=path.stem,
        dataset="folder",
        path=path.name,
        bytes=path.stat().st_size if bytes_ is None else bytes_,
        label=label,
        identities=(path.stem,),
        fake_ranges=ranges,
    )


def empty(folder, *names):
    for name in names:
        (folder / f"{name}.mp4").write_bytes(b"x")
    return [video(folder / f"{name}.mp4") for name in names]


def run(videos, *, root, work_root, settings, attempts=ENGINE):
    with work.opened(work_root, videos=videos, settings=settings, data_root=root) as place:
        rows = engine.run(videos, work=place, settings=settings, attempts=attempts)
        return rows, list(engine.samples(videos, rows, work=place))


def test_a_video_without_a_face_and_one_that_is_none_are_rows_and_lines(tmp_path, settings, capfd):
    blank = write_clip(tmp_path / "blank.mp4", [picture()] * 3)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 99)
    message = r"no faces in any of 2 videos \(1 no_face, 1 unreadable\)"
    with pytest.raises(DualfaceError, match=message):
        run([video(blank), video(broken)], root=tmp_path, work_root=tmp_path / "w", settings=settings)
    said = capfd.readouterr().err.splitlines()
    assert "blank.mp4: no_face: no face in 3 frames" in said
    assert any(line.startswith("broken.mp4: unreadable: not a video") for line in said)
    assert "faces: 2 of 2 videos" in said[-1]
    assert "1 no_face" in said[-1]


@pytest.mark.parametrize("size", [-1, 0, 10**9])
def test_a_file_that_changed_since_it_was_listed_stops_the_stage(tmp_path, settings, size):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    if size < 0:
        listed, message = video(path), "not found"
        path.unlink()
    else:
        listed, message = video(path, bytes_=size), "has 1 bytes"
    with pytest.raises(ListingError, match=message):
        run([listed], root=tmp_path, work_root=tmp_path / "w", settings=settings)


def test_rows_come_for_all_and_a_crash_is_tried_again_in_the_next_run(tmp_path, settings, fake_worker):
    videos = empty(tmp_path, "a", "segfault", "b")
    settings = settings.model_copy(update={"limit_seconds": 60.0})
    with work.opened(tmp_path / "w", videos=videos, settings=settings, data_root=tmp_path) as place:
        rows = engine.run(videos, work=place, settings=settings, attempts=ENGINE)
        assert {key: row.outcome for key, row in rows.items()} == {"a": "ok", "segfault": "crashed", "b": "ok"}
        assert [place.path(one).exists() for one in videos] == [True, False, True]
        assert len((place.folder / "log.csv").read_text().splitlines()) == 4  # with a head


def test_an_interruption_says_how_to_go_on(tmp_path, settings):
    def interrupted(videos, **_):
        yield from ()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="0 of 1 videos are done and kept; `dvc repro` goes on"):
        run(empty(tmp_path, "a"), root=tmp_path, work_root=tmp_path / "w", settings=settings, attempts=interrupted)


def test_more_than_a_shard_can_hold_is_refused_before_the_first_hour(tmp_path, settings):
    settings = settings.model_copy(update={"max_frames": 100_000, "input_size": 256})
    with pytest.raises(ParamsError, match=r"faces.max_frames: 100000 faces of 256 px are 18.3 GiB a video"):
        run(empty(tmp_path, "a"), root=tmp_path, work_root=tmp_path / "w", settings=settings)


def test_a_key_that_a_person_would_take_is_refused(tmp_path, settings):
    videos = empty(tmp_path, "a", "a-person2")
    with pytest.raises(DualfaceError, match="key 'a-person2' is also what a person of 'a'"):
        run(videos, root=tmp_path, work_root=tmp_path / "w", settings=settings.model_copy(update={"people": 2}))


def test_a_key_that_leaves_no_room_for_a_person_is_refused(tmp_path, settings):
    videos = empty(tmp_path, "a" * 195)
    with pytest.raises(DualfaceError, match="too long for faces.people above 1"):
        run(videos, root=tmp_path, work_root=tmp_path / "w", settings=settings.model_copy(update={"people": 2}))


def test_missing_weights_are_told_before_any_work_with_where_to_get_them(tmp_path, settings):
    cnn = settings.model_copy(update={"detector": "cnn", "weights": str(tmp_path / "none.dat")})
    with pytest.raises(CheckpointError, match=r"none\.dat: no such file; dlib\.net/files"):
        run(empty(tmp_path, "a"), root=tmp_path, work_root=tmp_path / "w", settings=cnn)


def test_crashes_from_the_start_on_stop_the_work(tmp_path, settings):
    def crashing(videos, **_):
        for number, one in enumerate(videos):
            assert number < engine.FIRST_CRASHES
            yield Done(one, Attempt(one.key, "crashed", "TypeError at extract.py:1"), 0.1)

    videos = empty(tmp_path, *[f"v{number}" for number in range(engine.FIRST_CRASHES + 1)])
    with pytest.raises(DualfaceError, match="all of the first 20 videos crashed; this looks like"):
        run(videos, root=tmp_path, work_root=tmp_path / "w", settings=settings, attempts=crashing)


@pytest.mark.parametrize(("outcome", "advice"), [("refused", "limit_megapixels"), ("timeout", "limit_seconds")])
def test_the_advice_fits_the_cause(tmp_path, settings, outcome, advice):
    def made(videos, **_):
        yield from (Done(one, Attempt(one.key, outcome, "because"), 0.1) for one in videos)

    with pytest.raises(DualfaceError, match=f"most common reason: because; raise faces.{advice}"):
        run(empty(tmp_path, "a"), root=tmp_path, work_root=tmp_path / "w", settings=settings, attempts=made)


def test_an_unknown_engine_is_told():
    with pytest.raises(DualfaceError, match="engine 'spark' is unknown; DUALFACE_ENGINE is local or ray"):
        engine.engine("spark", workers=1)


def test_frames_get_their_own_labels_and_nothing_depends_on_the_workers(shared, tmp_path, settings):
    root = shared / "data" / "odd"
    one = video(root / "var_av1.mp4", label=1, ranges=((3, 5),))
    videos = [one, video(root / "var_one_frame.mp4"), video(root / "var_vfr.mp4")]
    found = [
        run(videos, root=root, work_root=tmp_path / str(workers), settings=settings,
            attempts=partial(local.attempts, workers=workers))
        for workers in (1, 2)
    ]  # fmt: skip
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]
    rows, samples = found[0]
    assert [rows[one.key].outcome for one in videos] == ["ok", "too_few_faces", "ok"]
    track = sample.decode(*samples[0])
    assert [index for index, label in zip(track.index, track.labels, strict=True) if label] == [3, 4]


def test_ctrl_c_ends_at_once_says_how_to_go_on_and_leaves_no_process(tmp_path, fake_worker, settings):
    empty(tmp_path, "a", "hangs_1", "hangs_2")
    script = tmp_path / "stage.py"
    script.write_text(
        "import signal, sys\nfrom pathlib import Path\n"
        f"sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT / 'tests' / 'faces')!r}]\n"
        "from test_engine import empty, run\nfrom dualface import entry\nfrom dualface.faces import supervisor\n"
        "from dualface.params import FacesParams\n"
        f"supervisor.COMMAND = (sys.executable, {str(fake_worker)!r})\n"
        f"root = Path({str(tmp_path)!r})\n"
        f"settings = FacesParams.model_validate_json({settings.model_dump_json()!r})\n"
        "def main():\n"
        "    run(empty(root, 'a', 'hangs_1', 'hangs_2'), root=root, work_root=root / 'w', settings=settings)\n"
        # A shell that runs the tests in the background makes them ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "entry.run(main)\n"
    )
    with subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True) as child:
        try:
            pids = [wait_for(tmp_path, f"hangs_{number}.pid") for number in (1, 2)]
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130
    assert "interrupted: 1 of 3 videos are done and kept; `dvc repro` goes on from there" in stderr
    assert "Traceback" not in stderr
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def wait_for(folder, name):
    deadline = time.monotonic() + 60
    while not (found := [path for path in files_below(folder, name) if path.read_text()]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(found[0].read_text())


def test_a_killed_parent_takes_its_workers_along(tmp_path, fake_worker):
    script = (
        "import sys, pathlib\n"
        f"sys.path[:0] = [{str(ROOT / 'tests')!r}]\n"
        "from dualface.faces import supervisor\nfrom dualface.params import FacesParams\n"
        "from rows import make_video, plain_params\n"
        "one = supervisor.Supervisor(data_root=None, settings=FacesParams(**plain_params()['faces']))\n"
        f"one.attempt(make_video('hangs'), into=pathlib.Path({str(tmp_path)!r}) / 'hangs.piece')\n"
    )
    worker = tmp_path / "worker.py"
    # The real worker's loop around an attempt that never ends.
    worker.write_text(
        "import os, time\nfrom dualface.faces import worker\n"
        f"pid = {str(tmp_path / 'worker.pid')!r}\n"
        "worker.answer = lambda request: (open(pid, 'w').write(str(os.getpid())), time.sleep(300))\n"
        "worker.main()\n"
    )
    script = script.replace("one = ", f"supervisor.COMMAND = (sys.executable, {str(worker)!r})\none = ")
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        pid = wait_for(tmp_path, "worker.pid")
        os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
