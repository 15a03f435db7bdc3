import json
import subprocess
import sys

import pytest
import yaml

from dualface import cli, ledger, manifest, scan
from dualface.ledger import Attempt
from dualface.report import table
from dualface.version import VERSION
from rows import ROOT, make_video, plain_params, touch


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run `dualface ...` in an empty folder; return exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dualface", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as stop:
            # A text as status is what Python prints on stderr, with exit status 1.
            if isinstance(stop.code, str):
                return 1, capsys.readouterr().out, stop.code
            return stop.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


def test_scan_writes_a_listing_named_after_the_data_set(call, tmp_path):
    touch(tmp_path / "mine", "real/a.mp4", "fake/b.mp4")
    status, said, _ = call("scan", "folder", "mine")
    assert status == 0
    assert said.startswith("2 videos under mine\n")
    listed = manifest.read_listing(tmp_path / "data/sources/folder.csv")
    assert [video.path for video in listed] == ["./mine/fake/b.mp4", "./mine/real/a.mp4"]


@pytest.mark.parametrize(
    ("options", "path"),
    [(("--name", "mine-2"), "data/sources/mine-2.csv"), (("--out", "some/where.csv"), "some/where.csv")],
)
def test_the_listing_goes_where_it_is_sent(call, tmp_path, options, path):
    touch(tmp_path / "mine", "real/a.mp4", "fake/b.mp4")
    assert call("scan", "folder", "mine", *options)[0] == 0
    assert (tmp_path / path).is_file()


def test_scan_takes_several_qualities_and_methods(call, tmp_path):
    for quality in ("raw", "c23", "c40"):
        touch(tmp_path / "ff", f"original_sequences/youtube/{quality}/videos/071.mp4")
        touch(tmp_path / "ff", f"manipulated_sequences/Deepfakes/{quality}/videos/071_054.mp4")
    status, *_ = call("scan", "ffpp", "ff", "--quality", "c23", "--quality", "c40", "--method", "Deepfakes")
    assert status == 0
    listed = manifest.read_listing(tmp_path / "data/sources/ffpp.csv")
    assert sorted(video.quality for video in listed) == ["c23", "c23", "c40", "c40"]


def test_scan_lists_dfd_at_one_quality(call, tmp_path):
    for quality in ("c23", "c40"):
        touch(tmp_path / "ff", f"original_sequences/actors/{quality}/videos/01__kitchen_pan.mp4")
        name = f"manipulated_sequences/DeepFakeDetection/{quality}/videos/01_02__kitchen_pan__ABCDEF01.mp4"
        touch(tmp_path / "ff", name)
    status, said, _ = call("scan", "dfd", "ff", "--quality", "c23")
    assert status == 0
    assert "2 of 3,431 videos of DFD at c23: a part of the set, which is fine" in said
    assert "-S subset.val.take_from=train -S subset.val.share=0.2" in said
    listed = manifest.read_listing(tmp_path / "data/sources/dfd.csv")
    assert [(video.quality, video.identities) for video in listed] == [
        ("c23", ("actor-01", "actor-02")),
        ("c23", ("actor-01",)),
    ]


def test_scan_lists_a_part_of_dfdc(call, tmp_path):
    touch(tmp_path / "dfdc", "dfdc_train_part_0/a.mp4", "dfdc_train_part_0/b.mp4")
    entries = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}, "c.mp4": {"label": "REAL"}}
    (tmp_path / "dfdc/dfdc_train_part_0/metadata.json").write_text(json.dumps(entries))
    status, said, _ = call("scan", "dfdc", "dfdc")
    assert status == 0
    assert "dfdc_train_part_0         3        2        1      0  c.mp4" in said
    listed = manifest.read_listing(tmp_path / "data/sources/dfdc.csv")
    assert [(video.key, video.source_key) for video in listed] == [
        ("dfdc_train_part_0-a", None),
        ("dfdc_train_part_0-b", "dfdc_train_part_0-a"),
    ]


def test_scanning_twice_gives_the_same_bytes(call, tmp_path):
    touch(tmp_path / "mine", "real/a.mp4", "fake/b.mp4")
    for name in ("one", "two"):
        call("scan", "folder", "mine", "--out", name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scan", "folder", "gone"), "error: gone: no such folder"),
        (("scan", "folder", ".", "--name", "../x"), "error: --name '../x'"),
        (("scan", "folder", ".", "--quality", "c23"), "error: folder has no qualities"),
        (("scan", "dfd", ".", "--method", "Deepfakes"), "error: dfd has no methods"),
        (("scan", "dfdc", "."), "error: .: no part of DFDC; looked for dfdc_train_part_0/metadata.json"),
        (("params",), "error: params.yaml: not found"),
        (("show",), "error: results/metrics.json: not found; it is written by `dvc repro report`"),
        (("show", "broken.json"), "error: broken.json: not readable as JSON"),
        (("show", "other.json"), "error: other.json: not the figures"),
        (("show", "."), "error: .: Is a directory"),
    ],
)
def test_mistakes_become_one_line(call, tmp_path, arguments, message):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("{}")
    status, said, error = call(*arguments)
    assert (status, said) == (1, "")
    assert error.startswith(message)
    assert "\n" not in error


def test_a_listing_that_is_replaced_by_another_is_told(call, tmp_path):
    touch(tmp_path / "mine", "real/a.mp4", "fake/b.mp4")
    assert "replaces" not in call("scan", "folder", "mine")[1]
    assert "replaces" not in call("scan", "folder", "mine")[1]
    (tmp_path / "mine/real/a.mp4").rename(tmp_path / "mine/real/c.mp4")
    touch(tmp_path / "mine", "real/d.mp4")
    assert "it replaces one of 2 videos: 2 new, 1 gone\n" in call("scan", "folder", "mine")[1]
    (tmp_path / "data/sources/folder.csv").write_text("a diary")
    assert "which was no listing" in call("scan", "folder", "mine")[1]


def test_ledger_names_the_files_where_the_manifest_is_at_hand(call, tmp_path):
    video = make_video("real-a", path="real/a b.mp4")
    ledger.write(tmp_path / "data/ledger.parquet", [Attempt("real-a", "no_face", "no face in 9 frames", 9)])
    assert "real-a  no_face" in call("ledger")[1]
    manifest.write(tmp_path / "data/manifest.parquet", [video])
    status, said, _ = call("ledger")
    assert status == 0
    assert "real/a b.mp4  no_face" in said


def test_params_prints_what_it_checked(call, tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(plain_params()))
    status, said, _ = call("params")
    assert status == 0
    assert yaml.safe_load(said) == plain_params()
    assert call("params", ROOT / "params.yaml")[0] == 0


def test_params_refuses_what_is_out_of_range(call, tmp_path):
    content = plain_params()
    content["loss"]["gamma"] = 7
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    assert call("params") == (1, "", "error: params.yaml: loss.gamma: expected 0 <= x <= 1, got 7")


def test_show_prints_the_table_of_the_report(call, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "table", lambda metrics: f"AUC {metrics['auc']}\n")
    (tmp_path / "metrics.json").write_text(json.dumps({"auc": 0.5}))
    assert call("show", "metrics.json") == (0, "AUC 0.5\n", "")


@pytest.mark.parametrize("arguments", [("--help",), ("scan", "--help"), ("show", "--help"), ("params", "--help")])
def test_help_is_there_for_every_command(call, arguments):
    status, said, _ = call(*arguments)
    assert status == 0
    assert said.startswith("usage: dualface")


def test_the_help_of_scan_tells_each_data_set(call):
    said = call("scan", "--help")[1]
    assert all(f"\n  {dataset} " in said for dataset in scan.DATASETS)


def test_the_version_is_that_of_the_package(call):
    assert call("--version") == (0, f"dualface {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [("sing",), ("scan",), ("scan", "dfdx", "x")])
def test_wrong_usage_exits_with_two(call, arguments):
    assert call(*arguments)[0] == 2


def test_no_command_needs_torch():
    code = "import sys, dualface.cli, dualface.report.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
