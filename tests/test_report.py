"""The report stage as a whole, on fabricated inputs."""

import dataclasses
import json
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml

from conftest import ROOT, make_track, write_tracks
from dualface import card, ledger, manifest, methods, scores, split
from dualface.report.table import table

STAGE = ROOT / "stages" / "report.py"
MODEL = {"method": "dual", "backbone": "resnet18", "temporal": "gru", "levels": ["video", "frame"], "input_size": 64}
MODEL |= {"frames": 8, "stride": 4, "overlap": 0.5}
HOSTILE = "<script>alert('x')</script> \" & 鍵"
PLOTS = {f"{plot}_{level}.csv" for plot in ("roc", "pr", "confusion") for level in ("video", "frame")} | {
    f"{plot}.png" for plot in ("roc", "pr", "scores", "confusion")
}


def fabricate(folder, *, fakes=4, reals=12, frames=20, perfect=False, lost=2):
    """Write all inputs of the stage: videos of a test set, some of which extraction lost."""
    rng = np.random.default_rng(0)
    videos, attempts, choices, scored, tracks = [], [], [], [], []
    for number in range(fakes + reals + lost):
        label = int(number < fakes)
        key = f"{'fake' if label else 'real'}-{number:05d}"
        ranges = ((4, 12),) if label and number % 2 else None
        facts = {"method": HOSTILE, "split": "test", "fake_ranges": ranges}
        video = manifest.Video(key, "folder", f"{key}.mp4", 1, label, (key,), **facts)
        videos.append(video)
        if number >= fakes + reals:
            attempts.append(ledger.Attempt(key, "no_face", HOSTILE, 30, 0))
            continue
        attempts.append(ledger.Attempt(key, "ok", "", 30, frames))
        choices.append(split.Choice(key, "test", label))
        index = np.arange(0, 2 * frames, 2, dtype=np.int32)
        frame_label = manifest.frame_labels(video, index)
        spread = 0.01 if perfect else 0.3
        frame_score = np.clip(0.3 + 0.4 * frame_label + rng.normal(0, spread, frames), 0, 1).astype(np.float32)
        score = float(np.float32(np.clip(0.3 + 0.4 * label + rng.normal(0, spread), 0, 1)))
        scored.append(scores.VideoScores(key, label, score, index, frame_label, frame_score))
        if number < 40:
            tracks.append(dataclasses.replace(make_track(key, count=frames, seed=number), labels=frame_label))
    manifest.write(folder / "manifest.parquet", videos)
    ledger.write(folder / "ledger.parquet", attempts)
    split.write(folder / "split.csv", choices)
    scores.write(folder / "scores.parquet", scored)
    (folder / "shards").mkdir()
    write_tracks(folder / "shards", tracks, shard_bytes=10**9)
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["report"]["resamples"] = 100
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    (folder / "history.csv").write_text("epoch,loss,val_video_auc,other\n1,0.7,0.6,0\n2,0.5,0.8,1\n")
    model = card.Card(settings, "ab" * 32, "0", 2, {"video": 0.5, "frame": 0.5}, {"a": {"b": 1}}, MODEL, "cd" * 32)
    card.write(folder / "card.json", model)
    return folder


def arguments(folder, out):
    inputs = {"scores": "scores.parquet", "split": "split.csv", "manifest": "manifest.parquet"}
    inputs |= {"ledger": "ledger.parquet", "shards": "shards", "card": "card.json", "history": "history.csv"}
    outputs = {"metrics": "metrics.json", "plots": "plots", "page": "report.html"}
    pairs = [(name, folder / file) for name, file in {**inputs, "params": "params.yaml"}.items()]
    pairs += [(name, out / file) for name, file in outputs.items()]
    return [text for name, path in pairs for text in (f"--{name}", str(path))]


def report(folder, monkeypatch, out=None):
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments(folder, out or folder)])
    runpy.run_path(str(STAGE), run_name="__main__")
    return json.loads(((out or folder) / "metrics.json").read_text()), ((out or folder) / "report.html").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = fabricate(tmp_path_factory.mktemp("report"))
    with pytest.MonkeyPatch.context() as patch:
        figures, page = report(folder, patch)
    return folder, figures, page


class Tags(HTMLParser):
    """Collects the tags of a page, and those left open."""

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href", "xlink:href", "action"}]
        if tag not in {"meta", "img", "br", "rect", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href", "xlink:href", "action"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_metrics_are_nested_rounded_and_in_a_stable_order(made):
    folder, figures, _ = made
    assert list(figures) == ["video", "frame", "interval95", "counts", "coverage"]
    assert figures["counts"]["video"] == {"real": 12, "fake": 4}
    assert figures["counts"]["frame"] == {"real": 272, "fake": 48}
    assert figures["video"]["at_half"]["threshold"] == 0.5
    assert set(figures["interval95"]["video"]["auc"]) == {"low", "high"}
    numbers = re.findall(r"\d\.(\d+)", (folder / "metrics.json").read_text())
    assert max(map(len, numbers)) <= 6
    assert all("." not in name for name in re.findall(r'"([^"]+)":', (folder / "metrics.json").read_text()))


def of_method(folder, name, *, levels):
    """Turn the fabricated inputs into those of a method with one level."""
    known = card.read(folder / "card.json")
    thresholds = dict.fromkeys(methods.figure_levels(levels), 0.5)
    spec = methods.spec(name, backbone="resnet18", temporal="gru", levels="both", input_size=known.model["input_size"])
    model = {**known.model, **dataclasses.asdict(spec), "levels": list(spec.levels)}
    card.write(folder / "card.json", dataclasses.replace(known, thresholds=thresholds, model=model))
    videos = scores.read(folder / "scores.parquet")
    if levels == ("frame",):
        videos = [dataclasses.replace(video, score=float(video.frame_score.mean())) for video in videos]
    else:
        none = {"frame": video_frames(0), "frame_label": video_frames(0, np.uint8)}
        none["frame_score"] = video_frames(0, np.float32)
        videos = [dataclasses.replace(video, **none) for video in videos]
    scores.write(folder / "scores.parquet", videos)


def video_frames(count, dtype=np.int32):
    return np.zeros(count, dtype=dtype)


def test_scores_of_videos_that_come_from_their_frames_are_marked_so_wherever_they_are_shown(tmp_path, monkeypatch):
    of_method(fabricate(tmp_path), "xception", levels=("frame",))
    figures, page = report(tmp_path, monkeypatch)
    assert figures["aggregated"] == {"video": "mean", "video_max": "max"}
    assert set(figures["counts"]) >= {"video", "video_max", "frame"}
    told = table(figures)
    for name in ("video, mean of frames", "video, highest frame"):
        assert name in told
        assert name.capitalize() in page
    assert "xception judges frames, not videos" in page
    assert {path.name for path in (tmp_path / "plots").iterdir()} == PLOTS  # none is left when git restores another's


def test_a_method_that_judges_videos_alone_has_figures_of_videos_alone(tmp_path, monkeypatch):
    of_method(fabricate(tmp_path), "cnn_gru", levels=("video",))
    figures, page = report(tmp_path, monkeypatch)
    assert "frame" not in figures
    assert "aggregated" not in figures
    assert "frame" not in table(figures).splitlines()[2]
    assert (tmp_path / "plots" / "roc_frame.csv").read_text() == "fpr,tpr\n"
    assert page.count("data:image/jpeg;base64,") > 0
    assert {path.name for path in (tmp_path / "plots").iterdir()} == PLOTS
    tags = Tags()
    tags.feed(page)
    assert tags.open == []


def test_videos_lost_before_scoring_stand_in_the_coverage_and_in_words(made):
    _, figures, page = made
    assert figures["coverage"] == {
        "folder": {
            "real": {"listed": 14, "with_faces": 12, "in_split": 12, "scored": 12},
            "fake": {"listed": 4, "with_faces": 4, "in_split": 4, "scored": 4},
        }
    }
    assert "2 videos of those listed gave no usable faces" in page
    assert "one video moves the recall by 25 points" in page


def test_the_page_is_well_formed_and_reaches_for_nothing_outside(made):
    tags = Tags()
    tags.feed(made[2])
    assert tags.open == []
    assert not {"script", "link", "iframe", "object", "form"} & set(tags.seen)
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in tags.links)
    assert not re.search(r"url\((?!#)|@import", made[2])


def test_what_others_wrote_is_escaped(made):
    assert "<script" not in made[2]
    assert made[2].count("&lt;script") >= 2 + 4  # reasons in the ledger, methods of the fakes shown
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &#34; &amp; 鍵" in made[2]


def test_plots_have_the_columns_that_dvc_is_told_of(made):
    plots = made[0] / "plots"
    assert {path.name for path in plots.iterdir()} == PLOTS
    assert (plots / "roc_video.csv").read_text().startswith("fpr,tpr\n0.000000,")
    assert (plots / "pr_frame.csv").read_text().startswith("recall,precision\n")
    header, *rows = (plots / "confusion_video.csv").read_text().splitlines()
    assert header == "actual,predicted,count,share"
    cells = {tuple(row.split(",")[:2]): row.split(",")[2:] for row in rows}
    assert set(cells) == {(a, b) for a in ("real", "fake") for b in ("real", "fake")}
    assert sum(int(count) for count, _ in cells.values()) == 16
    assert float(cells["real", "real"][1]) + float(cells["real", "fake"][1]) == 1


def test_another_process_writes_the_same_bytes_and_loads_no_heavy_library(made, tmp_path):
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
        "print(sorted({'torch', 'dlib', 'av', 'cv2'} & set(sys.modules)))"
    )
    script = [sys.executable, "-c", f"import sys; sys.argv = sys.argv[1:]; {code.replace('argv[1]', 'argv[0]')}"]
    done = subprocess.run(
        [*script, str(STAGE), *arguments(made[0], tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    for name in ("metrics.json", "report.html", *(f"plots/{plot}" for plot in PLOTS)):
        assert (tmp_path / name).read_bytes() == (made[0] / name).read_bytes(), name


def test_a_split_that_lacks_a_class_is_refused_with_the_numbers(tmp_path, monkeypatch):
    fabricate(tmp_path, fakes=0)
    with pytest.raises(SystemExit, match=r"split 'test' has 12 real and 0 fake scored videos"):
        report(tmp_path, monkeypatch)
    assert not (tmp_path / "metrics.json").exists()


def test_scores_of_another_split_are_refused_by_name(tmp_path, monkeypatch):
    fabricate(tmp_path)
    kept = [choice for choice in split.read(tmp_path / "split.csv") if choice.key != "real-00007"]
    split.write(tmp_path / "split.csv", kept)
    with pytest.raises(SystemExit, match="'real-00007' is not in split 'test'; run `dvc repro score`"):
        report(tmp_path, monkeypatch)


def test_without_mistakes_history_or_faces_the_page_says_so(tmp_path, monkeypatch):
    fabricate(tmp_path, fakes=50, reals=50, perfect=True, lost=0)
    (tmp_path / "history.csv").write_text("epoch,loss\n")
    figures, page = report(tmp_path, monkeypatch)
    assert figures["video"]["auc"] == 1.0
    assert "No fake video was missed." in page
    assert "No real video was called fake." in page
    assert "The history holds no epoch." in page
    assert "The shards hold no faces of this video." in page
    assert "An interval without width is no certainty" in page


def test_videos_without_a_score_are_told_of(tmp_path, monkeypatch):
    fabricate(tmp_path)
    scores.write(tmp_path / "scores.parquet", scores.read(tmp_path / "scores.parquet")[:-1])
    figures, page = report(tmp_path, monkeypatch)
    assert figures["coverage"]["folder"]["real"]["in_split"] == 12
    assert figures["coverage"]["folder"]["real"]["scored"] == 11
    assert "1 video of the split has no score." in page


def test_thousands_of_videos_make_a_page_of_bounded_length(tmp_path, monkeypatch):
    fabricate(tmp_path, fakes=60, reals=1500, frames=8, lost=1500)
    _, page = report(tmp_path, monkeypatch)
    assert len(page.encode()) < 1_500_000
    assert "And 1,450 more in the ledger." in page


def test_the_terminal_table_is_aligned_and_has_the_intervals(made):
    text = table(made[1])
    lines = text.splitlines()
    assert lines[0].startswith("level  AUC [95 %]")
    assert [line.split()[0] for line in lines[2:4]] == ["video", "frame"]
    assert f"{made[1]['video']['auc']:.3f} [" in lines[2]
    starts = [[match.start() for match in re.finditer(r"(?<=  )\S", line)] for line in lines[1:4]]
    assert starts[0] == starts[1] == starts[2]
    assert "- 4 fake videos" in text
