import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dualface import entry
from dualface.errors import DualfaceError, ParamsError


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ParamsError("params.yaml: loss.gamma: unknown"), "error: params.yaml: loss.gamma: unknown"),
        (OSError(errno.ENOSPC, "No space left on device", "data/faces"), "error: data/faces: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "results"), "error: results: Permission denied"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_1(error, message):
    with pytest.raises(SystemExit) as exit_:
        entry.run(raising(error))
    assert exit_.value.code == message  # Python prints a text to stderr and exits with 1


def test_a_mistake_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        entry.run(raising(ZeroDivisionError()))


def test_an_interrupt_says_how_to_go_on(capsys):
    with pytest.raises(SystemExit) as exit_:
        entry.run(raising(KeyboardInterrupt()))
    assert exit_.value.code == 130
    assert "dvc repro" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_workers_are_a_whole_number_from_1(monkeypatch, text):
    monkeypatch.setenv("DUALFACE_WORKERS", text)
    with pytest.raises(DualfaceError, match="DUALFACE_WORKERS"):
        entry.workers()


def test_a_stage_ends_with_the_dvc_that_runs_it(tmp_path):
    """Its parent is killed: it must not go on writing beside the next run."""
    stage = "from dualface import entry; import time; entry.run(lambda: time.sleep(60))"
    shell = f"{sys.executable} -c '{stage}' & echo $! > pid; wait"
    environment = {**os.environ, "DVC_STAGE": "train", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(["/bin/sh", "-c", shell], cwd=tmp_path, env=environment) as parent:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        child = int((tmp_path / "pid").read_text())
        time.sleep(2)  # its imports
        parent.kill()
    wait_until(lambda: not is_running(child))


SAVING = """
import os, sys, time
from dualface import entry
from dualface.errors import Stopped
def main():
    with entry.stop_asked() as stop:
        open("pid", "w").write(str(os.getpid()))
        while not stop():
            time.sleep(0.05)
        time.sleep(3)
        open("saved", "w").write("x")
        raise Stopped("all is saved")
entry.run(main)
"""


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP, None])
def test_a_stage_whose_dvc_has_gone_has_time_to_save(tmp_path, first):
    (tmp_path / "stage.py").write_text(SAVING)
    shell = f"{sys.executable} stage.py 2>/dev/null; true"  # not the last command, or the shell would become it
    with subprocess.Popen(["/bin/sh", "-c", shell], cwd=tmp_path, env={**os.environ, "DVC_STAGE": "train"}) as parent:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        child = int((tmp_path / "pid").read_text())
        if first:
            os.kill(child, first)
        parent.kill()
    wait_until(lambda: not is_running(child))
    assert (tmp_path / "saved").exists()


def test_what_nohup_started_stays_when_the_terminal_goes():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with entry.stop_asked() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_message_can_not_move_the_cursor():
    with pytest.raises(SystemExit) as exit_:
        entry.run(raising(ParamsError("naïve \x1b[2J\n")))
    assert exit_.value.code == "error: naïve \\x1b[2J\\n"


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().split()[2] if Path("/proc").is_dir() else True


def test_workers_default_to_the_cores_at_hand(monkeypatch):
    monkeypatch.delenv("DUALFACE_WORKERS", raising=False)
    assert entry.workers() >= 1
    monkeypatch.setenv("DUALFACE_WORKERS", "3")
    assert entry.workers() == 3


def test_json_is_written_whole_with_a_last_newline(tmp_path):
    entry.write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "é"\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        entry.write_json(tmp_path / "a.json", {"b": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": 1, "a": "é"}
