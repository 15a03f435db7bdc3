"""Two processes on one machine, by gloo: what they compute together is what one computes alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import ROOT
from dualface import processes
from dualface.metrics import roc_auc, youden_threshold
from dualface.predict import score_videos
from dualface.processes import ALONE
from dualface.scores import of_level
from dualface.train.fit import network
from dualface.train.step import Step
from test_entry import is_running, wait_until
from world import CPU, World, feed_of, loss_params, train_params

GRADIENTS = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from dualface import processes
from test_processes import stepped
with processes.joined(gpu=False) as group:
    told, gradients = stepped(Path({shards!r}), group)
    if group.first:
        save_file(gradients | {{"loss": torch.tensor(told["loss"], dtype=torch.float64)}}, {out!r})
    assert group.gather_objects([group.rank, group.rank + group.world]) == list(range(2 * group.world))
    assert group.from_first(group.rank) == 0
"""


def stepped(folder, group):
    """The loss and the gradients of one step, in evaluation mode, on the first batch of an epoch."""
    world, loss, train = World(folder), loss_params(alpha=0.2, gamma=0.9), train_params(batch_size=7)
    model = network(train.spec(32), train=train, device=CPU).eval()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    together = group.together(model)
    step = Step(together, optimizer, schedule, loss, train, CPU, group)
    told = step.run(next(feed_of(world, loss, train, processes=group).epoch(1, start=0)), stop=False).read()
    return told, {name: parameter.grad.contiguous() for name, parameter in model.named_parameters()}


def torchrun(script: Path, *, count: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), script]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_have_the_loss_and_gradient_of_the_whole_batch(tmp_path, count):
    world = World(tmp_path / "shards")
    world.folder.mkdir()
    world.write()
    script, out = tmp_path / "script.py", tmp_path / "gradients.safetensors"
    script.write_text(GRADIENTS.format(tests=str(ROOT / "tests"), shards=str(world.folder), out=str(out)))
    torchrun(script, count=count)
    told, want = stepped(world.folder, ALONE)
    got = load_file(out)
    assert got.pop("loss").item() == pytest.approx(told["loss"], rel=1e-6)
    for name, gradient in want.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-5, atol=1e-5 * float(gradient.abs().max()), msg=name)


VALIDATED = """
import json, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
import torch
torch.set_num_threads(1)
from dualface import processes
from dualface.errors import Stopped
from dualface.train.snapshot import Snapshots
from safetensors.torch import save_file
from world import World, run
asked = 0
def stop():
    global asked
    asked += 1
    return {stops} and group.rank == 1 and asked > 3  # an epoch has 3 steps: while it validates
with processes.joined(gpu=False) as group:
    snapshots = Snapshots(Path({out!r})) if group.first else None
    try:
        trained = run(World(Path({shards!r})), processes=group, snapshots=snapshots, stop=stop, train={{"epochs": 2}})
    except Stopped:
        Path({out!r}, f"stopped{{group.rank}}").touch()
    else:
        if group.first:
            state = {{name: tensor.contiguous() for name, tensor in trained.best.state.items()}}
            save_file(state, {out!r} + "/model.safetensors")
            Path({out!r}, "told").write_text(json.dumps([trained.best.validation, trained.best.thresholds]))
"""


def several(tmp_path, *, stops):
    world = World(tmp_path / "shards")
    world.folder.mkdir()
    world.write()
    script = tmp_path / "script.py"
    script.write_text(
        VALIDATED.format(tests=str(ROOT / "tests"), shards=str(world.folder), out=str(tmp_path), stops=stops)
    )
    torchrun(script, count=2)
    return world


def test_what_several_processes_validate_is_what_they_keep(tmp_path):
    world = several(tmp_path, stops=False)
    validation, thresholds = json.loads((tmp_path / "told").read_text())
    train = train_params()
    model = network(train.spec(32), train=train, device=CPU)
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    tracks = feed_of(world, loss_params(), train).validation()
    scored = list(score_videos(model.eval(), tracks, device=CPU, **train.scoring))
    for level, threshold in thresholds.items():
        label_and_score = of_level(scored, level)
        assert roc_auc(*label_and_score) == validation[f"{level}_auc"]
        assert youden_threshold(*label_and_score) == pytest.approx(threshold, abs=1e-6)


def test_one_that_is_to_stop_while_it_validates_stops_all_after_a_snapshot(tmp_path):
    several(tmp_path, stops=True)
    assert {path.name for path in tmp_path.glob("s*")} >= {"stopped0", "stopped1", "snapshot.safetensors"}


def test_alone_nothing_is_gathered():
    table = torch.rand(3, 2)
    assert ALONE.gather(table) is table
    assert ALONE.gather_objects([1, 2]) == [1, 2]
    assert ALONE.from_first("x") == "x"


def test_without_torchrun_one_is_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with processes.joined(gpu=False) as group:
        assert group == ALONE


def test_one_process_or_one_of_many_launches_nothing(monkeypatch):
    def never(*_args):
        raise AssertionError

    monkeypatch.setattr(processes, "torchrun", never)
    processes.launch(1)
    monkeypatch.setenv("RANK", "0")
    processes.launch(4)


LAUNCHED = """
import os, sys, time
from dualface import entry, processes
from dualface.errors import DualfaceError, Stopped
def main():
    processes.launch(2)
    rank = os.environ["RANK"]
    assert len(sys.argv) == 2 or sys.argv[2:5] == ["--values", "--p", "2"]
    with entry.stop_asked() as stop:
        open(f"pid{rank}", "w").write(str(os.getpid()))
        if sys.argv[1] == "fail" and rank == "1":
            raise DualfaceError("a mistake")
        while sys.argv[1] == "work" and not stop():
            time.sleep(0.05)
        if stop():
            raise Stopped("all is saved")
entry.run(main)
"""


@pytest.fixture
def launched(tmp_path):
    (tmp_path / "stage.py").write_text(LAUNCHED)
    environment = {**os.environ, "DVC_STAGE": "train"}
    environment.pop("RANK", None)
    return {"cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}


@pytest.mark.parametrize(("way", "code", "told"), [("end", 0, ""), ("fail", 1, "error: a mistake\n")])
def test_several_processes_end_as_one_would(launched, way, code, told):
    values = ["--values", "--p", "2", "--name", "own", "--standalone", "--", "--n", "3"]  # of ours, none of torchrun's
    done = subprocess.run([sys.executable, "stage.py", way, *values], **launched, check=False, timeout=120)
    said = "".join(line for line in done.stdout.splitlines(keepends=True) if "elastic/" not in line)  # torch's own
    assert (done.returncode, said) == (code, told)


def pids(folder):
    end = time.monotonic() + 60
    while not all((path := folder / f"pid{rank}").exists() and path.read_text() for rank in (0, 1)):
        assert time.monotonic() < end
        time.sleep(0.05)
    return [int((folder / f"pid{rank}").read_text()) for rank in (0, 1)]


def test_a_signal_to_stop_reaches_all_of_them_and_one_speaks(launched, tmp_path):
    with subprocess.Popen([sys.executable, "stage.py", "work"], **launched) as parent:
        pids(tmp_path)
        parent.send_signal(signal.SIGTERM)
        said, _ = parent.communicate(timeout=60)
    assert parent.returncode == 128 + signal.SIGTERM
    assert said.count("stopped: all is saved") == 1


def test_processes_end_with_the_dvc_that_runs_them(launched, tmp_path):
    shell = f"{sys.executable} stage.py work; true"  # not the last command, or the shell would become it
    with subprocess.Popen(["/bin/sh", "-c", shell], **launched) as dvc:
        workers = pids(tmp_path)
        dvc.kill()
    wait_until(lambda: not any(is_running(worker) for worker in workers))
