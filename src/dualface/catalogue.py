"""The methods as `dualface methods` tells of them: facts, and figures of the networks as they are made."""

import sys
import textwrap

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dualface.errors import DualfaceError
from dualface.methods import METHODS, Method, spec
from dualface.models.make import make
from dualface.progress import bar

HEADER = ("method", "level", "input px", "parameters", "GFLOP a frame", "at 64 px", "licence", "reference")
WIDTH = 100
SMALL = 64  # px, the paper's


def table() -> str:
    """Lay out all methods, a line each."""
    rows: list[tuple[str, ...]] = [HEADER]
    with bar("counting", unit="method", total=len(METHODS), shown=sys.stderr.isatty()) as shown:
        for method in METHODS.values():
            rows.append(_row(method))
            shown.update()
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    told = (
        "Input, parameters and cost are those of the authors' size; a GFLOP is 10^9 multiplications and additions of "
        "one forward pass, of the dual family with ResNet-50. The licence is that of the authors' code, of which "
        "nothing is here. `dualface methods METHOD` tells more."
    )
    return "\n".join([*lines, "", *textwrap.wrap(told, WIDTH)]) + "\n"


def page(name: str) -> str:
    """Tell all of one method. Raises DualfaceError for one that there is not."""
    if name not in METHODS:
        raise DualfaceError(f"method {name!r} is unknown; known: {', '.join(METHODS)}")
    method = METHODS[name]
    parameters, flops = figures(method, method.input_size)
    normalise = _network(method, method.input_size).get_submodule("normalise")
    facts = {
        "level": _levels(method),
        "faces": f"{method.sizes_told()}; its authors: {method.input_size} px",
        "pixels": str(normalise.pixels),
        "gives": HEADS[name],
        "parameters": f"{parameters:,}",
        "cost": f"{flops / 1e9:.2f} GFLOP a frame",
        "own loss": LOSSES[method.own_loss],
        "reference": method.reference,
        "code": f"{method.code}, licence: {method.licence}",
        "not done": method.differs or "-",
    }
    lines = [f"{label:<12}{text}" for label, text in facts.items()]
    values = {"train.method": name, "faces.input_size": method.input_size, **method.settings}
    lines += ["", "as its authors:", *_command(values)]
    return "\n".join([name, *(f"  {line}".rstrip() for line in lines)]) + "\n"


def _command(values: dict[str, float | str]) -> list[str]:
    """Write a command that sets parameters, in lines that a shell takes as one."""
    options = [
        f"-S {key}={value:g}" if isinstance(value, float) else f"-S {key}={value}" for key, value in values.items()
    ]
    rows = [" ".join(options[at : at + 4]) for at in range(0, len(options), 4)]
    return ("dvc exp run " + " \\\n    ".join(rows)).split("\n")


# What the authors' networks give; here it is a logit of FAKE.
HEADS = {
    "dual": "a logit of a video, and one of each frame (authors: of REAL)",
    "cnn_gru": "a logit of a video",
    "cnn_lstm": "a logit of a video",
    "meso4": "a logit (authors: of REAL)",
    "mesoinception4": "a logit (authors: of REAL)",
    "xception": "the difference of two logits (authors: 1 = FAKE)",
    "capsule": "four differences of the class capsules' components (authors: 1 = FAKE)",
    "dsp_fwa": "the difference of two logits (authors: 0 = FAKE)",
    "bbn": "the difference of two logits",
}
LOSSES = {
    "joint": "alpha * BCE + (1 - alpha) * AUC, on both levels",
    "bce": "cross-entropy",
    "squared_error": "squared error of the probability",
    "component_bce": "cross-entropy of each of the four components of its class capsules, summed",
    "cumulative": "cross-entropy of faces mixed by a uniform and a reversed sampler; its weight moves to the latter",
}


def figures(method: Method, input_size: int) -> tuple[int, int]:
    """Count the parameters of a method's network, and the floating-point operations of a frame's forward pass."""
    network = _network(method, input_size)
    faces = torch.zeros((1, input_size, input_size, 3), dtype=torch.uint8)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(faces, torch.tensor([1]), frames=1)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops()


def _network(method: Method, input_size: int) -> nn.Module:
    return make(spec(method.name, backbone="resnet50", temporal="gru", levels="both", input_size=input_size)).eval()


def _row(method: Method) -> tuple[str, ...]:
    parameters, flops = figures(method, method.input_size)
    small = f"{figures(method, SMALL)[1] / 1e9:.2f}" if method.takes(SMALL) else "-"
    reference = method.reference.split(",")[0] + method.reference[method.reference.rindex(",") :]
    facts = (f"{parameters:,}", f"{flops / 1e9:.2f}", small, method.licence.split(";")[0], reference)
    return (method.name, _levels(method), str(method.input_size), *facts)


def _levels(method: Method) -> str:
    return " + ".join(method.levels)
