"""What a frame costs with each method, on one CPU thread: scoring, and a step of training with its own loss.

    python benchmarks/methods.py [--input-size 64]     # some two minutes

CPU seconds, medians of interleaved rounds, in the precision that `dualface.device.pick` chooses. DSP-FWA can't take
64 px and runs at 224.
"""

import argparse
import statistics
import time

import torch

from dualface import device, methods
from dualface.methods import METHODS, Spec, loss_kind
from dualface.models.make import make
from dualface.params import LossParams
from dualface.train.step import level_loss

FACES, VIDEOS, ROUNDS = 32, 4, 5
LOSS = LossParams(name="own", gamma=0.15, p=2, alpha=0.5, beta=0.5, focal_alpha=0.6, focal_exponent=2)


def score(model: torch.nn.Module, faces: torch.Tensor, lengths: torch.Tensor, machine: device.Device) -> None:
    model.eval()
    with torch.inference_mode(), machine.autocast():
        model(faces, lengths, frames=int(lengths.max()))


def step(
    model: torch.nn.Module, faces: torch.Tensor, lengths: torch.Tensor, machine: device.Device, *, spec: Spec
) -> None:
    """Take the gradient; the optimizer's step is left out, for its share depends on the batch."""
    model.train()
    with machine.autocast():
        logits = model(faces, lengths, frames=int(lengths.max()))
    kind = loss_kind(spec.method, LOSS.name)
    total = torch.zeros(())
    if logits.video is not None:
        label = (torch.arange(len(logits.video)) % 2).float()
        total = (
            total
            + level_loss(
                logits.video, label, valid=torch.ones_like(label, dtype=torch.bool), kind=kind, settings=LOSS
            ).total
        )
    if logits.frame is not None:
        label = (torch.arange(logits.frame.numel()) % 2).float()
        parts = None if logits.components is None else logits.components.flatten(0, 1)
        weight = None if logits.weight is None else logits.weight.repeat_interleave(logits.frame.shape[1])
        total = (
            total
            + level_loss(
                logits.frame.flatten(),
                label,
                valid=torch.ones_like(label, dtype=torch.bool),
                kind=kind,
                settings=LOSS,
                weight=weight,
                components=parts,
            ).total
        )
    total.backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input-size", type=int, default=64, help="px (default: %(default)s)")
    asked = parser.parse_args().input_size
    machine = device.pick(threads=1)
    chosen = {}
    for name, method in METHODS.items():
        side = asked if method.takes(asked) else method.input_size
        spec = methods.spec(name, backbone="resnet50", temporal="gru", levels="both", input_size=side)
        model = make(spec).to(memory_format=torch.channels_last)
        if name == "bbn":
            model.share = 0.5  # type: ignore[assignment]
        faces = torch.randint(0, 256, (FACES, side, side, 3), dtype=torch.uint8)
        chosen[name] = (spec, model, faces, torch.full((VIDEOS,), FACES // VIDEOS))
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS + 1):
        for name, (spec, model, faces, lengths) in chosen.items():
            for what in ("score", "train"):
                begun = time.process_time()
                if what == "score":
                    score(model, faces, lengths, machine)
                else:
                    step(model, faces, lengths, machine, spec=spec)
                spent.setdefault((name, what), []).append(time.process_time() - begun)
    print(f"{machine}, one thread, {FACES} faces\n\n| method | px | scoring, ms a frame | training, ms a frame |")
    print("|---|---|---|---|")
    for name, (spec, *_) in chosen.items():
        told = [1000 * statistics.median(spent[name, what][1:]) / FACES for what in ("score", "train")]
        print(f"| {name} | {spec.input_size} | {told[0]:.2f} | {told[1]:.2f} |")


if __name__ == "__main__":
    main()
