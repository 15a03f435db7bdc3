import os
import subprocess
import sys
from dataclasses import replace

import pytest

from conftest import ROOT
from dualface.errors import ListingError
from dualface.faces import piece, work
from dualface.faces.extract import Extract
from dualface.manifest import Video
from dualface.params import FacesParams
from rows import plain_params
from test_architecture import NO_DEPENDENCY, imports, needed


@pytest.fixture
def settings():
    return FacesParams(**plain_params()["faces"])


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"12345")
    return Video("a", "folder", "a.mp4", 5, 0, ("a",))


def opened(tmp_path, settings, *videos):
    return work.opened(tmp_path / "work", videos=list(videos), settings=settings, data_root=tmp_path)


def write(place, video):
    row = piece.write(place.partial(video), video, Extract("no_face", "no face in 3 frames", [], 3))
    place.commit(video)
    return row


def test_what_was_committed_is_there_in_the_next_run(tmp_path, settings, clip):
    with opened(tmp_path, settings, clip) as place:
        assert place.row(clip) is None
        row = write(place, clip)
    with opened(tmp_path, settings, clip) as place:
        assert place.row(clip) == row


def test_a_piece_that_was_not_committed_is_gone(tmp_path, settings, clip):
    with opened(tmp_path, settings, clip) as place:
        place.partial(clip).write_bytes(b"half")
    with opened(tmp_path, settings, clip) as place:
        assert place.row(clip) is None
        assert not place.partial(clip).exists()


@pytest.mark.parametrize(
    "changed",
    [{"input_size": 32}, {"stride": 5}, {"smooth": 2}, {"people": 2}, {"limit_frames": 7}, {"max_frames": 9}],
)
def test_other_parameters_work_elsewhere(tmp_path, settings, clip, changed):
    with opened(tmp_path, settings, clip) as place:
        write(place, clip)
    with opened(tmp_path, settings.model_copy(update=changed), clip) as place:
        assert place.row(clip) is None


@pytest.mark.parametrize("changed", [{"shard_megabytes": 1}, {"limit_seconds": 9.0}])
def test_what_shapes_no_piece_keeps_them(tmp_path, settings, clip, changed):
    with opened(tmp_path, settings, clip) as place:
        write(place, clip)
    with opened(tmp_path, settings.model_copy(update=changed), clip) as place:
        assert place.row(clip) is not None


def test_another_row_or_another_file_of_the_same_name_has_no_piece(tmp_path, settings, clip):
    with opened(tmp_path, settings, clip) as place:
        write(place, clip)
    fake = replace(clip, label=1)
    with opened(tmp_path, settings, fake) as place:
        assert place.row(fake) is None
    os.utime(tmp_path / "a.mp4", (0, 0))
    with opened(tmp_path, settings, clip) as place:
        assert place.row(clip) is None


def test_a_file_that_changes_while_it_is_read_stops_the_stage(tmp_path, settings, clip):
    with opened(tmp_path, settings, clip) as place:
        os.utime(tmp_path / "a.mp4", (0, 0))
        with pytest.raises(ListingError, match=r"a\.mp4: changed while it was read; scan it again"):
            write(place, clip)
        assert place.row(clip) is None


def test_the_folder_is_one_process_s_at_a_time(tmp_path, settings):
    script = (
        "import sys, pathlib\nfrom dualface.faces import work, attempt\nfrom dualface.params import FacesParams\n"
        "settings = FacesParams.model_validate_json(sys.argv[2])\n"
        "with work.opened(pathlib.Path(sys.argv[1]), videos=[], settings=settings, data_root=None): pass\n"
    )
    command = [sys.executable, "-c", script, tmp_path / "work", settings.model_dump_json()]
    with opened(tmp_path, settings):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"process {os.getpid()} is extracting into it; wait" in done.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_finished_work_goes_and_unfinished_work_of_others_is_told(tmp_path, settings, clip):
    other, third = (settings.model_copy(update={"input_size": side}) for side in (32, 48))
    for one in (settings, other):
        with opened(tmp_path, one, clip) as place:
            write(place, clip)
            if one is settings:
                place.finish()
    with opened(tmp_path, third, clip) as place:
        (told,) = place.finish()
    assert "keeps 1 videos" in told
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == sorted(
        f"faces-{work.identity(one)}" for one in (other, third)
    )


def test_what_is_not_ours_is_left_alone(tmp_path, settings, clip):
    root = tmp_path / "work"
    (root / "faces-hq").mkdir(parents=True)
    (root / "faces-hq" / "labels.csv").touch()
    (root / f"faces-{'0' * 16}").mkdir()
    (root / f"faces-{'0' * 16}" / "thesis.tex").touch()
    (root / "faces-old.tar").touch()
    (root / f"faces-{'1' * 16}").symlink_to(tmp_path)
    before = sorted(root.rglob("*"))
    with opened(tmp_path, settings, clip) as place:
        assert place.finish() == []
    assert [path for path in sorted(root.rglob("*")) if place.folder not in (path, *path.parents)] == before
    assert not (tmp_path / "lock").exists()


def test_outdated_pieces_go_and_those_of_videos_that_are_not_listed_now_stay(tmp_path, settings, clip):
    (tmp_path / "b.mp4").write_bytes(b"12345")
    other = replace(clip, key="b-1", path="b.mp4", identities=("b",))
    with opened(tmp_path, settings, clip, other) as place:
        write(place, clip)
        write(place, other)
    os.utime(tmp_path / "a.mp4", (0, 0))
    with opened(tmp_path, settings, clip) as place:
        write(place, clip)
        place.finish()
        assert len(list(place.folder.glob("*.piece"))) == 2
    with opened(tmp_path, settings, clip, other) as place:
        assert place.row(clip)
        assert place.row(other)


def test_a_missing_video_is_told_before_any_work(tmp_path, settings, clip):
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(ListingError, match="not found"), opened(tmp_path, settings, clip):
        pass


def test_all_libraries_of_the_code_are_in_the_hash():
    standard = sys.stdlib_module_names | {"dualface", "pydantic"}
    used = {name.split(".")[0] for file in work.CODE for name in imports(ROOT / "src" / "dualface" / file)}
    assert used - standard - {"pyarrow"} == set(work.LIBRARIES)  # pyarrow reads and writes tables


def test_the_hash_covers_all_code_that_shapes_a_piece_and_no_other():
    code = needed(ROOT / "src" / "dualface" / "faces" / "worker.py") - NO_DEPENDENCY
    # Packages' empty first files; and what reads and writes tables, of which a worker uses nothing.
    unused = {file for file in code if file.endswith(("/__init__.py", "/tables.py"))}
    assert code - unused == {f"src/dualface/{file}" for file in work.CODE}
