import io
import pickle
import shutil
import tarfile
import tracemalloc
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import webdataset

from conftest import make_track, write_tracks
from dualface.errors import ShardError
from dualface.shards.read import Shards
from dualface.shards.sample import MEMBERS


@pytest.fixture
def folder(tmp_path):
    write_tracks(tmp_path, (make_track(f"clip{i}", seed=i) for i in range(5)), shard_bytes=15_000)
    return tmp_path


def test_shards_close_when_full_and_all_samples_are_found(folder):
    shards = Shards(folder)
    assert len(list(folder.glob("*.tar"))) > 1
    assert shards.keys() == [f"clip{i}" for i in range(5)]
    assert "clip3" in shards
    assert np.array_equal(shards.read("clip3").faces, make_track("clip3", seed=3).faces)


def test_the_same_tracks_give_the_same_bytes(folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    write_tracks(again, (make_track(f"clip{i}", seed=i) for i in range(5)), shard_bytes=15_000)
    names = sorted(path.name for path in folder.glob("*.tar"))
    assert names == sorted(path.name for path in again.glob("*.tar"))
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)


# webdataset itself leaves the files of its own iterators to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_our_shards(folder):
    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [f"clip{i}" for i in range(5)]
    assert {"faces.zst", "index.npy", "boxes.npy", "labels.npy", "json"} <= samples[0].keys()


def test_an_index_can_be_sent_to_another_process(folder):
    assert pickle.loads(pickle.dumps(Shards(folder))).keys() == Shards(folder).keys()  # noqa: S301


def test_fingerprint_tells_subsets_and_extractions_apart(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_tracks(other, (make_track(f"clip{i}", seed=9 - i) for i in range(5)), shard_bytes=15_000)
    keys = Shards(folder).keys()
    uses = dict.fromkeys(keys, "train real")
    prints = {
        Shards(folder).fingerprint(uses),
        Shards(folder).fingerprint(dict(list(uses.items())[1:])),
        Shards(folder).fingerprint(uses | {"clip0": "val real"}),
        Shards(other).fingerprint(uses),
    }
    assert len(prints) == 4
    assert Shards(folder).fingerprint(dict(reversed(uses.items()))) in prints


def test_unknown_key_and_empty_folder_say_what_to_run(folder, tmp_path_factory):
    with pytest.raises(ShardError, match="'clip9' is not in the shards"):
        Shards(folder).read("clip9")
    with pytest.raises(ShardError, match="dvc repro faces"):
        Shards(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("name", ["../evil.json", "/etc/passwd", "nodot", "sub/clip.json"])
def test_members_that_do_not_belong_are_refused(tmp_path, name):
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ShardError, match="does not belong"):
        Shards(tmp_path)


def test_a_sample_that_stands_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("clip.json"))
        tar.addfile(tarfile.TarInfo("clip.json"))
    with pytest.raises(ShardError, match="appears twice"):
        Shards(tmp_path)


def test_a_broken_tar_is_refused(tmp_path):
    (tmp_path / "00000.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(ShardError, match="not a tar file"):
        Shards(tmp_path)


def rewritten(folder, tmp_path, change):
    """Write the samples of all shards into one, in an order and form of the test's own."""
    target = tmp_path / "rewritten"
    target.mkdir()
    members = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            members += [(one, tar.extractfile(one).read()) for one in tar]
    with tarfile.open(target / "00000.tar", "w") as tar:
        for member, content in change(members):
            tar.addfile(member, io.BytesIO(content))
    return target


def test_members_that_lie_apart_are_found(folder, tmp_path):
    apart = rewritten(folder, tmp_path, lambda members: sorted(members, key=lambda one: one[0].name.split(".")[1]))
    assert np.array_equal(Shards(apart).read("clip3").faces, Shards(folder).read("clip3").faces)


def test_members_that_lie_together_are_read_at_once(folder, monkeypatch):
    shards, reads = Shards(folder), []
    opened = Path.open

    def watched(self, *args):
        file = opened(self, *args)
        read = file.read
        watcher = MagicMock(wraps=file)
        watcher.__enter__.return_value = watcher
        watcher.__exit__.side_effect = lambda *_: file.close()
        watcher.read.side_effect = lambda length: reads.append(length) or read(length)
        return watcher

    monkeypatch.setattr(Path, "open", watched)
    assert np.array_equal(shards.read("clip3").faces, make_track("clip3", seed=3).faces)
    assert len(reads) == 1


def test_a_sample_in_two_shards_is_refused(folder):
    shutil.copy(folder / "00000.tar", folder / "99999.tar")
    with pytest.raises(ShardError, match=r"99999.tar: member 'clip0\.\S+' appears twice"):
        Shards(folder)


@pytest.mark.parametrize("key", ["", "clip", "clip0\0", "clip00", "clíp0", "x" * 300])
def test_what_is_no_key_is_not_found(folder, key):
    assert key not in Shards(folder)


def test_a_shard_without_samples_is_none(tmp_path):
    with tarfile.open(tmp_path / "00000.tar", "w"):
        pass
    assert Shards(tmp_path).keys() == []
    assert "clip" not in Shards(tmp_path)


def test_an_index_takes_little_memory_also_when_it_is_sent(tmp_path):
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for number in range(2000):
            for name in sorted(MEMBERS):
                tar.addfile(tarfile.TarInfo(f"some-video-{number:05d}.{name}"))
    shards = Shards(tmp_path)
    assert len(pickle.dumps(shards)) < 150 * 2000
    tracemalloc.start()
    again = pickle.loads(pickle.dumps(shards))  # noqa: S301
    assert tracemalloc.get_traced_memory()[0] < 150 * 2000
    tracemalloc.stop()
    assert again.keys() == shards.keys()


def header(*, name="clip.json", kind=b"0", number=0, size=None):
    """Make the 512 bytes of a member's header, with a size as tar stores it, or one that it should not."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, number
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if size is not None:
        block[124:136] = size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HOSTILE = {
    "negative": header(size=b"\xff" * 11 + b"\x00"),
    "beyond the end": header(number=10**6),
    "absurd": header(number=2**40),
    "more than a number": header(size=b"\x80" + b"\xff" * 11),
    "a name without end": header(name="././@LongLink", kind=b"L", number=2**33),
    "sparse": header(kind=b"S", number=512) + bytes(512),
    "cut within a header": header() + header(name="clip.faces.zst")[:300],
    "without an end": header(),
    "rubbish after a member": header() + b"rubbish!" * 64,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "00000.tar").write_bytes(content)
    with pytest.raises(ShardError, match="00000.tar") as caught:
        Shards(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_cut_short_anywhere_is_refused(folder, tmp_path):
    whole = (folder / "00000.tar").read_bytes()
    used = len(whole.rstrip(b"\0"))
    for length in np.random.default_rng(0).integers(1, used, 40):
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / "00000.tar").write_bytes(whole[:length])
        with pytest.raises(ShardError):
            Shards(tmp_path / "cut")
