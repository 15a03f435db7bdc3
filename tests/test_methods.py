"""The facts of the methods, against the parameters that name them and the networks that they describe."""

import re
from typing import get_args

import pytest

from dualface import catalogue, methods
from dualface.errors import DualfaceError
from dualface.methods import METHODS
from dualface.models.dsp_fwa import fits
from dualface.params import TrainParams
from world import train_params


def test_the_parameters_know_these_methods_and_no_others():
    assert get_args(TrainParams.model_fields["method"].annotation) == tuple(METHODS)


def test_dsp_fwa_takes_the_sizes_for_which_its_pyramid_is_right():
    assert [px for px in range(16, 1025) if METHODS["dsp_fwa"].takes(px)] == [px for px in range(16, 1025) if fits(px)]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dual", 26_069_058),
        ("cnn_gru", 26_069_058 - 257),  # the published ones carry a frame head that they do not use
        ("cnn_lstm", 26_922_562 - 257),
        ("meso4", 27_977),
        ("mesoinception4", 28_615),
        ("xception", 20_811_050),
        ("capsule", 3_896_638),
        ("dsp_fwa", 23_675_970),
        ("bbn", 27_978_818),
    ],
)
def test_each_network_has_the_published_number_of_parameters(name, parameters):
    side = 64 if name in ("xception", "capsule", "bbn") else METHODS[name].input_size
    assert catalogue.figures(METHODS[name], side)[0] == parameters


@pytest.mark.parametrize(
    ("changes", "levels", "per_face"),
    [
        ({}, ("video", "frame"), False),
        ({"levels": "video", "temporal": "none"}, ("video",), False),
        ({"levels": "frame"}, ("frame",), False),  # what runs over time sees other faces
        ({"levels": "frame", "temporal": "none"}, ("frame",), True),
        ({"method": "cnn_lstm", "levels": "frame"}, ("video",), False),
        ({"method": "xception", "levels": "both", "init": "torch"}, ("frame",), True),
    ],
)
def test_levels_and_modules_are_the_dual_networks_to_choose(changes, levels, per_face):
    spec = train_params(**changes).spec(64)
    assert (spec.levels, spec.per_face) == (levels, per_face)
    assert spec.backbone == ("none" if spec.method == "xception" else "resnet18")


def test_own_is_what_the_authors_minimise_and_other_names_are_themselves():
    assert methods.loss_kind("dual", "own") == "joint"
    assert methods.loss_kind("capsule", "own") == "component_bce"
    assert {methods.loss_kind(name, "focal") for name in METHODS} == {"focal"}


def test_a_method_is_told_with_a_command_that_names_only_parameters():
    for name in METHODS:
        told = " ".join(catalogue.page(name).split())
        for section, key in re.findall(r"-S (\w+)\.(\w+)=", told):
            assert section == "faces" or key in TrainParams.model_fields, key
    with pytest.raises(DualfaceError, match="'magic' is unknown; known: dual, "):
        catalogue.page("magic")
