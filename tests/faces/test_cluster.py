"""Face extraction on a Ray cluster of this machine, of which a node is lost on the way."""

import os
import platform
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from clips import picture, write_clip
from conftest import ROOT
from dualface import ledger, manifest
from dualface.demo import DemoPlan, clip_frames
from dualface.errors import DualfaceError
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.params import FacesParams

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'dualface[ray]'")

from dualface.faces import cluster  # noqa: E402  (it needs Ray)

PLAN = DemoPlan(
    seed=3,
    identities=9,
    test_identities=1,
    videos_per_identity=1,
    fakes_per_video=0,
    youtube_real=0,
    frames=6,
    width=320,
    height=240,
    crf=23,
    strength=(0.35, 1.0),
    partial_share=0.5,
)
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
FACES = {**PARAMS["faces"], "input_size": 32, "max_frames": 5, "min_faces": 3, "detector": "hog", "weights": "none"}
PATIENCE = 60  # seconds
# What befalls the processes that work on videos, told by the piece that they are about to write. On the node that will
# be lost they hang; the others wait for that, so that the loss comes when one video is in work and none is done.
FATE = """
import errno, os, signal, sys, time
from pathlib import Path

def befall(event, details):
    if event == "open" and isinstance(details[0], str | os.PathLike) and str(details[0]).endswith(".piece"):
        name, signs = Path(details[0]).stem, Path(os.environ["SIGNS"])
        if name.startswith("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("full"):
            raise OSError(errno.ENOSPC, "No space left on device", str(details[0]))
        if name.startswith("stuck") or (name.startswith("clip") and "DOOMED" in os.environ):
            (signs / name).write_text(str(os.getpid()))
            (signs / name).rename(signs / f"{name[:4]}-hangs")
            time.sleep(600)
        while name.startswith("clip") and not (signs / "clip-hangs").exists():
            time.sleep(0.01)

if "dualface.faces.worker" in sys.orig_argv:
    sys.addaudithook(befall)
"""


# A shell that runs the tests in the background makes them ignore Ctrl-C.
STAGE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Node:
    """A node, as `ray start` makes it. All its processes are of one session, and can be lost together."""

    def __init__(self, *options, folder, **environment):
        self.log = folder / f"{len(list(folder.iterdir()))}.log"
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, f"--object-store-memory={80 * 2**20}", "--disable-usage-stats", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, **environment, **dict.fromkeys(("PYTHONPATH", "SIGNS", "TMPDIR"), str(folder))},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lose()

    def lose(self):
        while pids := members(self.process.pid):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


def members(session):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def eventually(check):
    deadline = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for the cluster, with a short name: the path of a socket may have 107 letters."""
    path = tmp_path_factory.mktemp("r")
    (path / "sitecustomize.py").write_text(FATE)
    return path


@pytest.fixture(scope="module")
def cluster_of_one(folder):
    """The address of a cluster of one node, for those who know the token: Ray listens to the whole network."""
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        address = f"127.0.0.2:{free.getsockname()[1]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        options = ["--head", f"--port={address.partition(':')[2]}", "--node-ip-address=127.0.0.2"]
        with Node(*options, "--include-dashboard=false", f"--temp-dir={folder}/t", folder=folder) as head:
            eventually(lambda: "Ray runtime started" in head.log.read_text())
            yield address


def stage(folder, videos, *, engine, address=""):
    """Start the stage `faces` in a folder that holds nothing yet but, perhaps, a clip."""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({**PARAMS, "faces": FACES}))
    listed = [row(path, path.name) for path in videos.glob("*.mp4")]
    listed += [row(path, f"./{path.name}") for path in folder.glob("*.mp4")]
    manifest.write(folder / "manifest", listed)
    places = [f"--{name}={name}" for name in ("manifest", "shards", "ledger", "counts")]
    machine = {"DUALFACE_ENGINE": engine, "DUALFACE_DATA": f"{videos}", "DUALFACE_WORK": "work", "RAY_ADDRESS": address}
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, ROOT / "stages" / "faces.py", *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **machine},
    )


def row(path, name):
    return Video(path.stem, "folder", name, path.stat().st_size, label=0, identities=(path.stem,))


def ended(running):
    """Wait for a stage; return its exit status and what it said."""
    with running:
        try:
            said, errors = running.communicate(timeout=PATIENCE)
        finally:
            running.kill()
    return running.returncode, said + errors


def outs(folder):
    paths = [*folder.glob("shards/*"), folder / "ledger", folder / "counts"]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def clip_of_a_face(path, number):
    write_clip(path, [images[0] for images in clip_frames(PLAN, number, 0, [])])


def test_a_node_that_is_lost_on_the_way_changes_no_byte(cluster_of_one, folder, tmp_path):
    videos, by_ray, by_processes = (tmp_path / name for name in ("videos", "ray", "local"))
    for path in (videos, by_ray, by_processes):
        path.mkdir()
    for number in range(4):
        clip_of_a_face(videos / f"clip{number}.mp4", number)
    write_clip(videos / "clip4.mp4", [picture()] * 4)
    (videos / "clip5.mp4").write_bytes(b"no video" * 99)
    clip_of_a_face(by_ray / "clip6.mp4", 6)
    clip_of_a_face(by_processes / "clip6.mp4", 6)
    options = [f"--address={cluster_of_one}", "--node-ip-address=127.0.0.3"]
    with Node(*options, folder=folder, DOOMED="yes") as second:
        running = stage(by_ray, videos, engine="ray", address=cluster_of_one)
        other = stage(by_processes, videos, engine="local")
        try:
            eventually(lambda: (folder / "clip-hangs").exists() or running.poll() is not None)
            second.lose()
        finally:
            ends = [ended(other), ended(running)]
    assert [status for status, _ in ends] == [0, 0], ends
    assert [one.outcome for one in ledger.read(by_ray / "ledger")] == ["ok"] * 4 + ["no_face", "unreadable", "ok"]
    assert outs(by_ray) == outs(by_processes)


def test_a_video_that_kills_its_process_is_a_row_and_ctrl_c_leaves_no_process(cluster_of_one, folder, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("deadly", "good", "stuck", "unseen"):
        clip_of_a_face(videos / f"{name}.mp4", 1)
    running = stage(tmp_path / "ray", videos, engine="ray", address=cluster_of_one)
    try:
        eventually(lambda: (folder / "stuc-hangs").exists() or running.poll() is not None)
        running.send_signal(signal.SIGINT)
    finally:
        status, said = ended(running)
    assert status == 130
    assert "deadly.mp4: crashed: the process that worked on it was killed by SIGKILL" in said
    assert "2 of 4 videos are done and kept" in said
    assert "Traceback" not in said
    child = Path("/proc") / (folder / "stuc-hangs").read_text()
    eventually(lambda: not child.exists())


def test_what_a_node_can_not_do_stops_the_stage_in_one_line_that_names_it(cluster_of_one, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    clip_of_a_face(videos / "full.mp4", 1)
    status, said = ended(stage(tmp_path / "ray", videos, engine="ray", address=cluster_of_one))
    assert status == 1
    assert f"error: node {platform.node()}: " in said
    assert "No space left on device" in said
    assert said.count("\n") == 1


def test_a_node_with_another_program_is_refused(tmp_path):
    video = Video("a", "folder", "a.mp4", bytes=1, label=0, identities=("a",))
    with pytest.raises(DualfaceError, match=f"node {platform.node()}: its dualface"):
        cluster.attempt(video, data_root=tmp_path, settings=FacesParams(**FACES), program="another")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster at RAY_ADDRESS=127.0.0.1:1 .*refused.*; start one here with `ray start --head`",
        ),
        ("nonsense", "no Ray cluster at RAY_ADDRESS=nonsense"),
        ("ray://head:10001", "expected HOST:PORT of the head"),
        ("local", "expected HOST:PORT of the head"),
    ],
)
def test_without_a_cluster_nothing_is_started(address, message, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(DualfaceError, match=message):
        next(attempts([]))
    assert not ray.is_initialized()


def test_no_address_and_no_cluster_here_tells_both_ways(monkeypatch):
    def none(address):
        raise ConnectionError("not found")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "canonicalize_bootstrap_address", none)
    with pytest.raises(DualfaceError, match=r"on this machine; start .*`ray start --head`, or export RAY_ADDRESS"):
        next(attempts([]))


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DualfaceError, match=r"pip install 'dualface\[ray\]'"):
        runpy.run_path(cluster.__file__)


def attempts(videos, into=None):
    return cluster.attempts(videos, into=into, data_root=Path("/data"), settings=FacesParams(**FACES))


class Standin:
    """Stands in for Ray: a cluster of three CPUs that does every task at once, with no piece."""

    exceptions = ray.exceptions

    def __init__(self):
        self.submitted = []

    def init(self, **_):
        pass

    def shutdown(self):
        pass

    def cluster_resources(self):
        return {"CPU": 3.0}

    def remote(self, function):
        return self

    def options(self, **_):
        return SimpleNamespace(remote=self.submit)

    def submit(self, video, **_):
        self.submitted.append(video)
        return video

    def wait(self, waiting, **_):
        return waiting[:1], waiting[1:]

    def get(self, video):
        return cluster.Answer(Attempt(video.key, "timeout", "late"), 1.5, None)


def test_no_more_is_submitted_than_a_few_per_cpu(monkeypatch, tmp_path):
    standin = Standin()
    monkeypatch.setattr(cluster, "ray", standin)
    monkeypatch.setattr(cluster, "_listening", str)
    videos = [Video(f"v{n}", "folder", f"{n}.mp4", bytes=1, label=0, identities=("a",)) for n in range(40)]
    found = attempts(videos, into=lambda video: tmp_path / video.key)
    for taken in range(1, 4):
        next(found)
        assert len(standin.submitted) == 3 * cluster.AHEAD + taken - 1
    assert sorted(done.video.key for done in found) == sorted(video.key for video in videos[3:])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("cuda", "gpus", "share"), [(True, 2.0, cluster.GPU_SHARE), (True, 0.0, 0), (False, 2.0, 0)])
def test_only_a_cnn_that_can_use_a_gpu_asks_for_one(cuda, gpus, share, monkeypatch):
    monkeypatch.setattr(cluster.dlib, "DLIB_USE_CUDA", cuda)
    cnn = FacesParams(**{**FACES, "detector": "cnn", "weights": "w.dat"})
    assert cluster._needs(cnn, {"CPU": 4.0, "GPU": gpus}) == {"num_cpus": 1, "num_gpus": share}
    assert cluster._needs(FacesParams(**FACES), {"CPU": 4.0, "GPU": gpus}) == {"num_cpus": 1, "num_gpus": 0}
