import re

import pytest
import ruamel.yaml
import yaml

from dualface import demoparams, yaml12
from dualface import params as parameters
from dualface.errors import ParamsError
from rows import ROOT, plain_params


@pytest.fixture
def params():
    return plain_params()


def changed(params, name, value):
    section, *rest = name.split(".")
    place = params[section]
    for part in rest[:-1]:
        place = place[part]
    place[rest[-1]] = value
    return parameters.parse(params, parameters.Params, where="params.yaml")


def test_the_file_of_the_repository_is_valid():
    loaded = parameters.load(ROOT / "params.yaml")
    assert (loaded.loss.gamma, loaded.loss.p, loaded.loss.alpha, loaded.loss.beta) == (0.15, 2, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss.gamma", 1.5, "params.yaml: loss.gamma: expected 0 <= x <= 1, got 1.5"),
        ("loss.gamma", float("nan"), "loss.gamma: expected a finite number, got nan"),
        ("loss.gamma", "0.1", "loss.gamma: expected a valid number, got '0.1'"),
        ("loss.p", 1, "loss.p: expected 1 < x, got 1"),
        ("loss.p", float("inf"), "loss.p: expected a finite number, got inf"),
        ("loss.alpha", -0.1, "loss.alpha: expected 0 <= x <= 1"),
        ("loss.delta", 1, "loss.delta: unknown"),
        ("train.epochs", 0, "train.epochs: expected 1 <= x, got 0"),
        ("train.epochs", 1.5, "train.epochs: expected a valid integer, got 1.5"),
        ("train.epochs", True, "train.epochs: expected a valid integer, got True"),
        ("train.flip", 1, "train.flip: expected a valid boolean, got 1"),
        ("train.backbone", "vgg", "train.backbone: expected one of .*resnet50.* got 'vgg'"),
        ("subset.ratio", 0, "subset.ratio: expected 0 < x"),
        ("subset.train.real", -1, "subset.train.real: expected 0 <= x"),
        ("subset.val.share", 1.0, "subset.val.share: expected 0 < x <= 0.9"),
        ("subset.val", None, "subset.val: expected a section with keys, got None"),
        ("subset.test.take_from", "train", "subset: test.take_from: train needs a share"),
        ("ingest.listing", "", "ingest.listing: "),
    ],
)
def test_a_value_out_of_line_is_named_with_its_place(params, name, value, message):
    with pytest.raises(ParamsError, match=message) as caught:
        changed(params, name, value)
    assert "\n" not in str(caught.value)


def test_the_edges_of_the_valid_ranges_run(params):
    for name, value in (("loss.gamma", 0), ("loss.gamma", 1), ("loss.alpha", 1), ("loss.beta", 0), ("subset.seed", 0)):
        changed(params, name, value)


def test_ratio_and_a_count_of_fakes_contradict_each_other(params):
    params["subset"]["train"]["fake"] = 3
    with pytest.raises(ParamsError, match="subset: give ratio or train.fake, not both"):
        changed(params, "subset.ratio", 10)


def test_every_mistake_is_told_at_once(params):
    params["loss"]["gamma"], params["train"]["epochs"] = 2, -1
    with pytest.raises(ParamsError, match="loss.gamma.*; .*train.epochs"):
        parameters.parse(params, parameters.Params, where="params.yaml")


def test_a_missing_value_is_no_default(params):
    del params["loss"]["beta"]
    with pytest.raises(ParamsError, match="loss.beta: missing"):
        parameters.parse(params, parameters.Params, where="params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found; run from the repository's root"),
        (b"", "the file: expected a section with keys, got None"),
        (b"- 1\n", "the file: expected a section"),
        (b"a: [1\n", "not readable as YAML"),
        (b"\xff\xfe", "not readable as YAML"),
        (b"a: 1\na: 2\n", "a: appears twice"),
        (b"loss: {gamma: 1, gamma: 2}\n", "gamma: appears twice"),
        (b"? [1, 2]\n: 3\n", "params.yaml: "),
        (b"a: !!python/object:os.system {}\n", "not readable as YAML"),
        (b"a: &a [*a]\n", "params.yaml: "),
        (b"[" * 20_000, "not readable as YAML"),
        (b"01: a\n1: b\n", "1: appears twice"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParamsError, match=message) as caught:
        parameters.load(path)
    assert "\n" not in str(caught.value)


def test_numbers_read_as_dvc_writes_them(tmp_path, params):
    params["train"]["learning_rate"] = "RATE"
    text = yaml.safe_dump(params).replace("RATE", "1e-05")
    (tmp_path / "params.yaml").write_text(text)
    assert parameters.load(tmp_path / "params.yaml").train.learning_rate == 1e-5


def test_no_key_has_a_name_that_dvc_leaves_out_of_its_run_cache_key():
    # treeverse/dvc#10296: a change of such a value would restore the old output.
    names = re.findall(r"^ *([a-z_0-9]+):|[{,] *([a-z_0-9]+):", (ROOT / "params.yaml").read_text(), re.MULTILINE)
    assert {"gamma", "take_from"} <= {name for pair in names for name in pair}
    assert not {"size", "nfiles"} & {name for pair in names for name in pair}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e-05", 1e-5),
        ("012", 12),
        ("0o12", 10),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("~", None),
        ("", None),
        (".5", 0.5),
        ("-3", -3),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
    ],
)
def test_yaml_is_read_as_dvc_reads_it(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\n")
    assert yaml12.read(path) == {"a": value}
    theirs = ruamel.yaml.YAML(typ="safe", pure=True).load(path.read_text())["a"]
    assert str(theirs) == str(value) or text in ("2026-01-01", "1_000")


def test_settings_that_cannot_go_together_are_refused_before_a_stage_runs():
    params = plain_params()
    params["train"]["batch_size"] = 1
    with pytest.raises(ParamsError, match="no pairs for the AUC loss"):
        parameters.parse(params, parameters.Params, where="params.yaml")
    params["loss"]["alpha"], params["train"]["frames"] = 1, 1
    with pytest.raises(ParamsError, match="one face"):
        parameters.parse(params, parameters.Params, where="params.yaml")
    params["train"]["frames"], params["faces"]["min_faces"] = 8, 10_000
    with pytest.raises(ParamsError, match="more than max_frames keeps"):
        parameters.parse(params, parameters.Params, where="params.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.method": "magic"}, "train.method: expected one of 'dual', 'cnn_gru', .* got 'magic'"),
        ({"train.method": "dsp_fwa"}, "dsp_fwa takes faces of 161 to 224 or .*, not 64; set faces.input_size: 224"),
        ({"train.method": "meso4", "faces.input_size": 50}, "meso4 takes faces of multiples of 32 px, not 50"),
        ({"train.method": "meso4", "train.frame_batch": 15}, "has no room for 8 faces .* of two videos"),
        ({"train.method": "meso4", "train.weights": "imagenet"}, "meso4 has no backbone .* train.init takes a file"),
        ({"train.method": "xception", "train.weights": "a.safetensors"}, "none or imagenet with xception"),
        ({"train.method": "capsule", "train.init": "paper"}, "paper is how the dual network starts"),
        ({"train.method": "xception", "train.backbone_rate": 0.1}, "backbone_rate: 1 with xception"),
        ({"train.backbone_rate": 0}, "backbone_rate: 0 trains no backbone, and none is given"),
        ({"train.method": "bbn", "train.order": "stream"}, "bbn's own loss needs order: random"),
        ({"train.method": "bbn", "train.micro_batch": 64}, "bbn's own loss needs .* micro_batch: null"),
    ],
)
def test_what_a_method_cannot_do_is_refused_before_a_stage_runs(changes, message):
    params = plain_params()
    for name, value in changes.items():
        section, key = name.split(".")
        params[section][key] = value
    with pytest.raises(ParamsError, match=message) as caught:
        parameters.parse(params, parameters.Params, where="params.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bce", "joint", "focal"])
def test_bbn_streams_with_another_loss_than_its_own(name):
    params = plain_params()
    params["train"] |= {"method": "bbn", "order": "stream"}
    params["loss"]["name"] = name
    assert parameters.parse(params, parameters.Params, where="params.yaml").train.per_face


def test_a_long_value_is_cut_in_the_message():
    params = plain_params()
    params["train"]["weights"] = 7
    params["train"]["schedule"] = "x" * 1000
    with pytest.raises(ParamsError) as caught:
        parameters.parse(params, parameters.Params, where="params.yaml")
    assert len(str(caught.value)) < 400


def test_the_demos_own_file_is_checked_too(tmp_path):
    demo = yaml.safe_load((ROOT / "data" / "demo" / "params.yaml").read_text())
    assert demoparams.load(ROOT / "data" / "demo" / "params.yaml").frames == demo["demo"]["frames"]
    demo["demo"]["frame"] = demo["demo"].pop("frames")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(demo))
    with pytest.raises(ParamsError, match=r"demo\.frames: missing; .*demo\.frame: unknown"):
        demoparams.load(tmp_path / "params.yaml")
