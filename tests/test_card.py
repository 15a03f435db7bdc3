import dataclasses
import json

import numpy as np
import pytest

from dualface import card
from dualface.errors import CheckpointError

CARD = card.Card(
    params={"train": {"seed": 0, "learning_rate": 0.001}, "loss": {"gamma": 0.15}},
    data_sha256="a" * 64,
    version="0.1.0",
    epoch=7,
    thresholds={"video": 0.4171234567890123, "frame": 0.5},
    validation={"video_auc": 0.91},
    model={"method": "dual", "backbone": "resnet18", "temporal": "gru", "levels": ["video", "frame"], "input_size": 64}
    | {"frames": 8, "stride": 4, "overlap": 0.5},
    weights_sha256="0123456789abcdef" * 4,
)


def test_a_card_comes_back_as_it_was_written(tmp_path):
    card.write(tmp_path / "card.json", CARD)
    assert card.read(tmp_path / "card.json") == CARD


def test_the_same_card_gives_the_same_bytes_and_keeps_the_order_of_params(tmp_path):
    card.write(tmp_path / "a.json", CARD)
    card.write(tmp_path / "b.json", dataclasses.replace(CARD))
    text = (tmp_path / "a.json").read_bytes()
    assert text == (tmp_path / "b.json").read_bytes()
    assert text.index(b'"train"') < text.index(b'"loss"')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thresholds": {"video": 0.5}}, "thresholds must have video and frame"),
        ({"thresholds": {"video": 0.5, "frame": 1.5}}, "thresholds.frame must be a number in"),
        ({"thresholds": {"video": True, "frame": 0.5}}, "thresholds.video must be a number in"),
        ({"epoch": 0}, "epoch must be a whole number from 1"),
        ({"epoch": True}, "epoch must be a whole number from 1"),
        ({"epoch": 10**400}, "epoch must be a whole number from 1"),
        ({"epoch": 3.0}, "epoch must be a whole number from 1"),
        ({"data_sha256": "abc"}, "data_sha256 must be 64 hex digits"),
        ({"weights_sha256": None}, "weights_sha256 must be 64 hex digits"),
        ({"version": ""}, "version must be a text"),
        ({"model": "resnet18"}, "model must be a mapping"),
        ({"model": {"frames": 8}}, "model: method: missing; model: backbone: missing"),
        ({"model": {**CARD.model, "stride": 0}}, "model: stride: expected 1 <= x <= 100000, got 0"),
        ({"model": {**CARD.model, "frames": 10**30}}, "model: frames: expected 1 <= x <= 100000, got 1"),
        ({"model": {**CARD.model, "overlap": 1.0}}, "model: overlap: expected 0 <= x <= 0.9, got 1.0"),
        ({"model": {**CARD.model, "input_size": "64"}}, "model: input_size: expected a valid integer, got '64'"),
        ({"model": {**CARD.model, "input_size": 2048}}, "model: input_size: expected 16 <= x <= 1024, got 2048"),
        ({"model": {**CARD.model, "method": "magic"}}, "model.method must be one of dual, "),
        (
            {"model": {**CARD.model, "levels": ["scene"]}},
            "model: levels.0: expected one of 'video' or 'frame'",
        ),
        ({"model": {**CARD.model, "backbone": "none"}}, "model does not go together"),
        ({"model": {**CARD.model, "backbone": "vgg"}}, "model: backbone: expected .* got 'vgg'"),
        ({"model": {**CARD.model, "levels": ["x"] * 50_000}}, "levels.7: .* got 'x'; and 49992 more; run `dvc"),
        ({"model": {**CARD.model, "\x1b[2J" * 999: 1}}, r"model: (\\x1b\[2J){9}[^;]*\.\.\.: unknown"),
        ({"model": {**CARD.model, "levels": []}}, "model does not go together"),
        ({"model": {**CARD.model, "method": "cnn_gru"}}, "model does not go together"),
        ({"model": {**CARD.model, "levels": ["frame"]}}, "thresholds must have video and video_max and frame"),
        ({"version": ["\x1b[31m" * 1000]}, r"version must be a text, is \['[^\x1b]{70,80}\.\.\.;"),
        ({"extra": 1}, "field 'extra' is unknown"),
    ],
)
def test_a_card_that_breaks_the_contract_is_refused_by_name(tmp_path, change, words):
    path = tmp_path / "card.json"
    path.write_text(json.dumps({**dataclasses.asdict(CARD), **change}))
    with pytest.raises(CheckpointError, match=words) as caught:
        card.read(path)
    assert str(path) in str(caught.value)
    assert "dvc repro train" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named(tmp_path):
    content = dataclasses.asdict(CARD)
    del content["epoch"]
    (tmp_path / "card.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="field 'epoch' is missing"):
        card.read(tmp_path / "card.json")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"version": "\\ud800"}', b"[1]", b"\xff\xfe", b'{"epoch": NaN}', b"[" * 100_000]
)
def test_what_is_no_json_object_is_refused(tmp_path, raw):
    (tmp_path / "card.json").write_bytes(raw)
    with pytest.raises(CheckpointError, match="not "):
        card.read(tmp_path / "card.json")


def test_a_huge_file_is_not_read_as_a_card(tmp_path):
    (tmp_path / "card.json").write_bytes(b" " * (card.MAX_BYTES + 1))
    with pytest.raises(CheckpointError, match="larger than"):
        card.read(tmp_path / "card.json")


def test_a_missing_card_says_which_stage_writes_it(tmp_path):
    with pytest.raises(CheckpointError, match="no such card"):
        card.read(tmp_path / "card.json")


@pytest.mark.parametrize("value", [float("nan"), np.float32(0.5)])
def test_what_json_cannot_hold_is_refused_on_write_and_nothing_is_left(tmp_path, value):
    with pytest.raises(CheckpointError, match="what JSON can't"):
        card.write(tmp_path / "card.json", dataclasses.replace(CARD, validation={"video_auc": value}))
    assert list(tmp_path.iterdir()) == []
