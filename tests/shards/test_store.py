import io
import shutil
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from conftest import make_track, write_tracks
from dualface.errors import ShardError
from dualface.shards.read import Shards
from dualface.shards.sample import decode
from dualface.shards.stream import Store, survey

KEYS = [f"clip{i}" for i in range(7)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "faces").mkdir()
    write_tracks(tmp_path / "faces", (make_track(key, seed=i) for i, key in enumerate(KEYS)), shard_bytes=15_000)
    return tmp_path / "faces"


@pytest.fixture
def remote(folder):
    """The shards in a store that can't be sought in: fsspec's memory, which is read as any object store."""
    system = fsspec.filesystem("memory")
    for path in folder.glob("*.tar"):
        system.pipe_file(f"/faces/{path.name}", path.read_bytes())
    yield "memory://faces"
    system.rm("/faces", recursive=True)


@pytest.fixture
def server(folder):
    """A web server that answers with the folder's parent, but lists nothing."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def list_directory(self, _):
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder.parent)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/faces"
        running.shutdown()
        thread.join()


def same(url, folder):
    store = Store(url)
    found = survey(store, KEYS, threads=2)
    assert store.shards() == sorted(path.name for path in folder.glob("*.tar"))
    assert len(store.shards()) > 1
    assert list(found.shard_of) == KEYS
    uses = dict.fromkeys(KEYS, "train real")
    assert found.fingerprint(uses) == Shards(folder).fingerprint(uses)
    for shard in store.shards():
        for key, members in found.samples(shard, {key for key in KEYS if found.shard_of[key] == shard}):
            assert decode(key, members).faces.tobytes() == Shards(folder).read(key).faces.tobytes()


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_a_folder_is_read_as_shards_are(folder, form):
    same(form.format(folder), folder)


def test_a_store_is_read_as_shards_are(remote, folder):
    same(remote, folder)


# fsspec leaves its connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_web_server_that_lists_nothing_is_read_as_shards_are(server, folder):
    pytest.importorskip("aiohttp")
    same(server, folder)
    with pytest.raises(ShardError, match="holds no shards"):
        Store(f"{server}/none").shards()


def test_only_wanted_samples_and_members_are_given(folder):
    store = Store(str(folder))
    given = [sample for shard in store.shards() for sample in store.samples(shard, {"clip2", "clip5"}, names={"json"})]
    assert [key for key, _ in given] == ["clip2", "clip5"]
    assert {name for _, members in given for name in members} == {"json"}


def test_a_missing_sample_and_a_missing_store_are_told(folder):
    with pytest.raises(ShardError, match="holds no sample 'other', nor 1 others"):
        survey(Store(str(folder)), [*KEYS, "other", "stranger"], threads=1)
    for url in (f"{folder}/none", "memory://none", "nostore://faces"):
        with pytest.raises(ShardError, match="none|nostore") as caught:
            Store(url).shards()
        assert "\n" not in str(caught.value)


def test_a_sample_that_stands_twice_is_refused(folder):
    shutil.copy(folder / "00000.tar", folder / "99999.tar")
    with pytest.raises(ShardError, match=r"'clip0' appears twice, in 99999.tar and in one before"):
        survey(Store(str(folder)), KEYS, threads=2)


def test_a_sample_that_changes_after_the_survey_is_refused(folder):
    found = survey(Store(str(folder)), KEYS, threads=1)
    for path in folder.glob("*.tar"):
        path.unlink()
    write_tracks(folder, (make_track(key, seed=9 + i) for i, key in enumerate(KEYS)), shard_bytes=15_000)
    with pytest.raises(ShardError, match="'clip0' has changed"):
        list(found.samples("00000.tar", {"clip0"}))


def tar_of(*members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


HOSTILE = {
    "no tar": b"no tar" * 200,
    "empty": b"",
    "cut in a member": tar_of(("clip.json", b"0", b"x" * 5000))[:2000],
    "cut between members": tar_of(("clip.json", b"0", b""))[:512],
    "alien": tar_of(("../evil.json", b"0", b"")),
    "link": tar_of(("clip.json", b"2", b"")),
    "sparse": tar_of(("clip.json", b"S", b"")),
    "twice": tar_of(("clip.json", b"0", b"{}"), ("clip.json", b"0", b"{}")),
    "no hash": tar_of(("clip.json", b"0", b"{}")),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("local", [True, False])
def test_a_hostile_shard_is_refused_in_one_line(tmp_path, content, local):
    url = str(tmp_path) if local else "memory://hostile"
    fsspec.open(f"{url}/00000.tar", "wb").fs.pipe_file(f"{url.removeprefix('memory:/')}/00000.tar", content)
    with pytest.raises(ShardError) as caught:
        survey(Store(url), ["clip"], threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_store_that_fails_on_the_way_is_told(remote, monkeypatch, at):
    opened = MemoryFileSystem.open

    class Failing(io.BytesIO):
        reads = 0

        def read(self, size=-1):
            self.reads += 1
            if self.reads > at:
                raise TimeoutError("the store\nis gone")
            return super().read(min(size, 4096))

    def failing(self, path, mode):
        with opened(self, path, mode) as file:
            return Failing(file.read())

    monkeypatch.setattr(MemoryFileSystem, "open", failing)
    with pytest.raises(ShardError, match=r"00000.tar: can't be read \(the store is gone\)"):
        survey(Store(remote), KEYS, threads=1)
