import errno

import numpy as np
import pytest

from dualface.errors import DualfaceError
from dualface.faces import spill


def faces(count, *, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_crops_come_back_by_number_in_any_order(tmp_path):
    given = faces(5)
    with spill.Spill(8, folder=tmp_path) as kept:
        assert [kept.add(face) for face in given] == list(range(5))
        assert np.array_equal(kept.read(3), given[3])
        assert kept.add(given[0]) == 5  # adding goes on after reading
        chosen = spill.Crops(kept, [4, 0, 5])
        assert chosen.shape == (3, 8, 8, 3)
        assert np.array_equal(np.stack(list(chosen)), given[[4, 0, 0]])
        assert np.array_equal(np.stack(list(chosen)), given[[4, 0, 0]])


def test_a_full_disk_is_no_fault_of_the_video(tmp_path):
    with pytest.raises(DualfaceError, match=r"can't be written to: No space left"), spill.writing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_many_crops_go_to_disk_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(spill, "IN_MEMORY", 1000)
    given = faces(20)
    with spill.Spill(8, folder=tmp_path) as kept:
        for face in given:
            kept.add(face)
        assert kept._file._rolled
        assert np.array_equal(np.stack(list(spill.Crops(kept, range(20)))), given)
        assert not list(tmp_path.iterdir())  # it has no name, so a kill leaves nothing
