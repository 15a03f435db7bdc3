import sys
import threading
import time

import pytest

from dualface.errors import DualfaceError
from dualface.faces import supervisor
from dualface.faces.supervisor import Supervisor
from dualface.ledger import Attempt
from dualface.params import FacesParams
from rows import make_video, plain_params


@pytest.fixture
def settings():
    return FacesParams(**plain_params()["faces"])


@pytest.fixture
def ask(tmp_path, fake_worker, settings):
    """Ask one supervisor for attempts, by key."""
    one = Supervisor(data_root=None, settings=settings.model_copy(update={"limit_seconds": 0.5}))
    yield lambda key: one.attempt(make_video(key), into=tmp_path / f"{key}.piece").row
    one.reap()


def test_an_attempt_gives_its_row_and_piece(ask, tmp_path):
    assert ask("a") == Attempt("a", "ok", "", 3, 2)
    assert (tmp_path / "a.piece").read_bytes() == b"whole"


def test_a_process_that_dies_twice_costs_its_video_a_row_and_no_other(ask, tmp_path):
    row = ask("segfault")
    assert (row.outcome, row.reason) == ("crashed", "the process that worked on it was killed by SIGSEGV, 2 times")
    assert not (tmp_path / "segfault.piece").exists()
    assert ask("b").outcome == "ok"
    assert (tmp_path / "asked").read_text().split() == ["segfault", "segfault", "b"]


def test_a_process_that_dies_once_costs_nothing(ask):
    assert ask("once").outcome == "ok"


def test_a_process_that_leaves_is_told_by_its_status(ask):
    assert ask("leaves").reason == "the process that worked on it ended with status 3, 2 times"


def test_a_video_that_takes_too_long_is_a_row_and_is_not_tried_again(ask, tmp_path):
    row = ask("hangs")
    assert (row.outcome, row.reason) == ("timeout", "not done after 0.5 s (faces.limit_seconds)")
    assert ask("b").outcome == "ok"
    assert (tmp_path / "asked").read_text().split() == ["hangs", "b"]


@pytest.mark.parametrize("key", ["rubbish_a", "rubbish_b", "rubbish_c", "rubbish_d", "impostor"])
def test_an_answer_that_makes_no_sense_is_a_row_of_its_video(ask, key):
    row = ask(key)
    assert (row.key, row.outcome) == (key, "crashed")
    assert "no answer that makes sense" in row.reason
    assert ask("b").outcome == "ok"


def test_an_answer_without_end_is_not_read_to_its_end(ask):
    assert ask("flood").outcome == "crashed"
    assert ask("b").outcome == "ok"


@pytest.mark.parametrize(("key", "reason"), [("realtime", "was killed by signal 40"), ("silent", "SIGKILL")])
def test_odd_ways_to_die_are_rows(ask, key, reason):
    assert reason in ask(key).reason
    assert ask("b").outcome == "ok"


def test_a_worker_that_is_killed_while_it_starts_costs_nothing(tmp_path, settings, fake_worker, monkeypatch):
    once = f"import os, pathlib; p = pathlib.Path({str(tmp_path / 'begun')!r})\n"
    once += "if not p.exists():\n    p.touch()\n    os.kill(os.getpid(), 9)\n" + fake_worker.read_text()
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", once))
    one = Supervisor(data_root=None, settings=settings)
    assert one.attempt(make_video("a"), into=tmp_path / "a.piece").row.outcome == "ok"
    one.reap()


def test_what_stops_the_job_is_an_error_in_the_worker_s_words(ask):
    with pytest.raises(DualfaceError, match="the disk is full"):
        ask("stops")


def test_closing_ends_an_attempt_in_work(tmp_path, fake_worker, settings):
    one = Supervisor(data_root=None, settings=settings)
    errors = []

    def work():
        with pytest.raises(DualfaceError, match="stopped"):
            one.attempt(make_video("hangs"), into=tmp_path / "hangs.piece")
        errors.append("told")

    thread = threading.Thread(target=work)
    thread.start()
    while not (tmp_path / "hangs.pid").exists():
        time.sleep(0.01)
    one.close()
    thread.join(timeout=60)
    one.reap()
    assert errors == ["told"]


def test_a_worker_that_never_gets_ready_is_a_row_and_no_wait_for_ever(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", "import time; time.sleep(300)"))
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.3)
    one = Supervisor(data_root=None, settings=settings)
    row = one.attempt(make_video("a"), into=tmp_path / "a.piece").row
    one.reap()
    assert (row.outcome, "SIGKILL" in row.reason) == ("crashed", True)


def test_a_worker_that_can_not_start_is_an_error(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", "raise SystemExit(7)"))
    one = Supervisor(data_root=None, settings=settings)
    with pytest.raises(DualfaceError, match="can't start: it ended with status 7"):
        one.attempt(make_video("a"), into=tmp_path / "a.piece")
    one.reap()
