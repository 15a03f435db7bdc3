"""All stages through DVC, on a demo set small enough for a test."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from dualface import ledger

DEMO = {
    "identities": 9,
    "test_identities": 4,
    "videos_per_identity": 1,
    "fakes_per_video": 2,
    "youtube_real": 4,
    "frames": 6,
}
SMALL = {
    "faces": {"input_size": 32, "max_frames": 6, "min_faces": 2},
    "subset": {"val": {"take_from": "train", "share": 0.4, "real": None, "fake": None}},
    "train": {"frames": 3, "stride": 2, "epochs": 1, "batch_size": 4},
    "report": {"resamples": 100},
}


def merge(path: Path, changes: dict) -> None:
    content = yaml.safe_load(path.read_text())
    for section, values in changes.items():
        content[section].update(values)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def run(folder: Path, *command: str, works: bool = True, **variables: str) -> str:
    scripts = Path(sys.executable).parent
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DUALFACE_", "GIT_", "DVC_"))
    }
    environment |= {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "HOME": str(folder.parent),
    }
    environment |= variables
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode == 0) == works, f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A checkout as a newcomer has it, with a tiny demo set, after one `dvc repro`."""
    folder = tmp_path_factory.mktemp("clone") / "dualface"
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "dvc.yaml",
        "params.yaml",
        "data/demo/dvc.yaml",
        "data/demo/params.yaml",
        ".dvc/config",
        ".dvc/plots/decisions.json",
        ".dvcignore",
        ".gitignore",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    merge(folder / "data/demo/params.yaml", {"demo": DEMO})
    merge(folder / "params.yaml", SMALL)
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "0"],
    ):
        run(folder, "git", *command)
    run(folder, "dvc", "repro")
    return folder


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


def test_raw_videos_become_a_report(house):
    metrics = json.loads((house / "results/metrics.json").read_text())
    assert 0 <= metrics["video"]["auc"] <= 1
    assert 0 <= metrics["frame"]["auc"] <= 1
    assert "</html>" in (house / "results/report.html").read_text()
    assert {path.name for path in (house / "data/model").iterdir()} == {"model.safetensors", "card.json"}
    assert (house / "results/plots/roc.png").read_bytes().startswith(b"\x89PNG")
    table = run(house, "dualface", "show", "results/metrics.json")
    assert "video" in table and "frame" in table


def test_every_video_is_accounted_for(house):
    counts = json.loads((house / "results/faces.json").read_text())
    videos = len(list((house / "data/demo/videos").rglob("*.mp4")))
    assert counts["videos"] == videos == sum(counts[name] for name in ledger.OUTCOMES)


def test_a_second_run_does_nothing_nor_does_a_comment(house):
    assert ran(run(house, "dvc", "repro")) == []
    with (house / "params.yaml").open("a") as file:
        file.write("# a comment\n")
    assert ran(run(house, "dvc", "repro")) == []


def test_metrics_and_plots_are_kept_by_git_and_not_by_dvc(house):
    run(house, "git", "add", "--all")
    tracked = run(house, "git", "ls-files").splitlines()
    assert {"dvc.lock", "results/metrics.json", "results/history.csv", "results/plots/roc_video.csv"} <= set(tracked)
    assert not any(name.endswith((".tar", ".mp4", ".safetensors", ".parquet", ".html")) for name in tracked)


def test_dvc_shows_metrics_and_plots(house):
    assert "results/metrics.json" in run(house, "dvc", "metrics", "show", "--json")
    run(house, "dvc", "plots", "show", "--out", str(house.parent / "plots"))
    assert (house.parent / "plots" / "index.html").is_file()


def test_gamma_and_ratio_re_run_only_what_they_shape(house):
    merge(house / "params.yaml", {"loss": {"gamma": 0.3}})
    assert ran(run(house, "dvc", "repro")) == ["train", "score", "report"]
    merge(house / "params.yaml", {"subset": {"ratio": 2}})
    assert ran(run(house, "dvc", "repro")) == ["subset", "train", "score", "report"]


@pytest.mark.parametrize(("method", "levels"), [("meso4", {"video", "video_max", "frame"}), ("cnn_gru", {"video"})])
def test_another_method_re_runs_what_comes_after_the_subset_and_shows_its_own_levels(house, method, levels):
    run(house, "git", "add", "--all")
    run(house, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", method, "--allow-empty")
    assert ran(run(house, "dvc", "exp", "run", "-S", f"train.method={method}")) == ["train", "score", "report"]
    metrics = json.loads((house / "results/metrics.json").read_text())
    assert {"video", "video_max", "frame"} & set(metrics) == levels
    assert ("aggregated" in metrics) == (method == "meso4")
    assert method in (house / "results/report.html").read_text()
    run(house, "dualface", "show", "results/metrics.json")
    assert "results/metrics.json" in run(house, "dvc", "metrics", "show", "--json")
    run(house, "dvc", "plots", "show", "--out", str(house.parent / f"plots-{method}"))


def test_two_processes_train_one_model(house):
    merge(house / "params.yaml", {"loss": {"gamma": 0.2}})
    output = run(house, "dvc", "repro", "train", DUALFACE_PROCESSES="2", DUALFACE_DEVICE="cpu")
    assert ran(output) == ["train"]
    assert "training on cpu" in output and ", 2 processes" in output


@pytest.mark.parametrize(
    ("given", "words"),
    [("data/model/model.safetensors", "is what this stage writes"), ("weights/none.safetensors", "no such file")],
)
def test_weights_that_training_can_not_start_from_are_told_before_data_are_read(house, given, words):
    before = (house / "params.yaml").read_text()
    merge(house / "params.yaml", {"train": {"weights": given}})
    paths = ["--split", "none.csv", "--shards", "none", "--model", "data/model", "--history", "none.csv"]
    output = run(house, "python", "stages/train.py", *paths, works=False)
    (house / "params.yaml").write_text(before)
    assert output.startswith(f"error: train.weights: {given}")
    assert words in output
    assert output.count("\n") == 1


def test_a_listing_of_ones_own_never_renders_the_demo(house):
    (house / "data/sources").mkdir(exist_ok=True)
    run(house, "dualface", "scan", "celebdf", "data/demo/videos", "--out", "data/sources/mine.csv")
    merge(house / "params.yaml", {"ingest": {"listing": "data/sources/mine.csv"}})
    (house / "data/demo/listing.csv").unlink()
    output = run(house, "dvc", "repro", "ingest")
    assert ran(output) == ["ingest"]
