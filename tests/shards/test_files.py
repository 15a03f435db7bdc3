import pickle
import tarfile

import numpy as np
import pytest
import webdataset

from conftest import make_track, write_tracks
from dualface.errors import ShardError
from dualface.shards.read import Shards


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
