"""Cost and exactness of the pairwise AUC loss, value and gradient, against the broadcast form and LibAUC's.

    python benchmarks/auc_loss.py            # LibAUC is compared where it is installed: pip install libauc

One thread, interleaved, medians of CPU seconds; float32 scores. Goals: at 4,800 scores 1:1 at least 50 times less than
the broadcast and at most 200 bytes a score; at 10^6 at most 3 times one torch.sort; float64 within 1e-12 of the
broadcast. On a GPU, where there is one, milliseconds by the device's clock.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dualface.losses import pairwise_auc_loss

GAMMA = 0.15
Task = Callable[[], object]


def data(count: int, *, share: float, dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Scores that rank better than chance, and labels with this share of fakes."""
    rng = torch.Generator().manual_seed(count)
    label = (torch.rand(count, generator=rng) < share).float()
    score = torch.sigmoid(torch.randn(count, generator=rng, dtype=torch.float64) + 2 * label - 1)
    return score.to(device, dtype).requires_grad_(), label.to(device)


def broadcast(score: Tensor, label: Tensor) -> Tensor:
    """Eqs. 2-3 as they are most often written."""
    difference = score[label == 1][:, None] - score[label == 0][None, :]
    return torch.clamp(GAMMA - difference, min=0).square().mean()


def with_gradient(loss: Callable[[Tensor, Tensor], Tensor], score: Tensor, label: Tensor) -> Task:
    return lambda: torch.autograd.grad(loss(score, label), score)


def ours(score: Tensor, label: Tensor) -> Tensor:
    return pairwise_auc_loss(score, label, gamma=GAMMA)


def libauc() -> Callable[[Tensor, Tensor], Tensor] | None:
    """LibAUC's pairwise loss with the same surrogate, where it is installed."""
    try:
        from libauc.losses import PairwiseAUCLoss  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        return None
    loss: Callable[[Tensor, Tensor], Tensor] = PairwiseAUCLoss(surr_loss="squared_hinge", hparam=GAMMA)
    return loss


def interleaved(tasks: dict[str, Task], *, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of each task; in each round, each runs for at least a tenth of a second."""
    spent: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            task()
            begun, repeats = time.process_time(), 0
            while time.process_time() - begun < 0.1:
                task()
                repeats += 1
            spent[name].append((time.process_time() - begun) / repeats * 1e3)
    return {name: statistics.median(values) for name, values in spent.items()}


def memory(form: str, count: int) -> float:
    """Bytes a score, at their peak, of value and gradient in a process of its own."""
    return float(subprocess.run([sys.executable, __file__, form, str(count)], check=True, stdout=-1, text=True).stdout)


def peak(form: str, count: int) -> None:
    """Print what `memory` asks for."""
    loss = {"ours": ours, "broadcast": broadcast}[form]
    with_gradient(loss, *data(100, share=0.5))()  # what torch sets up once
    score, label = data(count, share=0.5)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten (Linux)
    before = highest()
    with_gradient(loss, score, label)()
    print((highest() - before) / count)


def highest() -> int:
    """Return this process's peak memory, bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def on_gpu(loss: Callable[[Tensor, Tensor], Tensor], count: int) -> float:
    """Median milliseconds on the GPU."""
    task = with_gradient(loss, *data(count, share=0.5, device="cuda"))
    spent: list[float] = []
    for _ in range(30):
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun.record()
        task()
        ended.record()
        torch.cuda.synchronize()
        spent.append(begun.elapsed_time(ended))
    return statistics.median(spent[5:])


def main() -> None:
    torch.set_num_threads(1)
    other = libauc()
    for share, told in ((0.5, "1:1"), (1 / 31, "1:30"), (1 / 201, "1:200")):
        score, label = data(4800, share=share)
        tasks = {"ours": with_gradient(ours, score, label), "broadcast": with_gradient(broadcast, score, label)}
        if other is not None:
            tasks["LibAUC"] = with_gradient(other, score, label)
        spent = interleaved(tasks, rounds=9)
        shown = ", ".join(f"{name} {one:.2f} ms ({one / spent['ours']:.1f}x)" for name, one in spent.items())
        print(f"n = 4,800 at {told}: {shown}")
    for count in (10**6, 10**7):
        score, label = data(count, share=0.5)
        tasks = {"ours": with_gradient(ours, score, label), "torch.sort": partial(torch.sort, score.detach())}
        spent = interleaved(tasks, rounds=3)
        ratio = spent["ours"] / spent["torch.sort"]
        print(f"n = {count:,}: ours {spent['ours']:.0f} ms, {ratio:.2f} times one torch.sort")
    for share in (0.5, 1 / 201):
        score, label = data(4800, share=share, dtype=torch.float64)
        value, want = ours(score, label), broadcast(score, label)
        (slope,), (slope_wanted,) = torch.autograd.grad(value, score), torch.autograd.grad(want, score)
        error = abs(value.item() - want.item()) / want.item()
        print(
            f"float64 at a share of {share:.3f}: relative error {error:.1e}, "
            f"gradient's {float((slope - slope_wanted).abs().max() / slope_wanted.abs().max()):.1e}"
        )
    told = ", ".join(
        f"{form} {memory(form, count):,.0f} at {count:,}" for form, count in (("ours", 10**6), ("broadcast", 4800))
    )
    print(f"bytes a score: {told}")
    if torch.cuda.is_available():
        for count in (4800, 10**6):
            print(f"{torch.cuda.get_device_name()}, n = {count:,}: {on_gpu(ours, count):.2f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(sys.argv[1], int(sys.argv[2]))
    else:
        main()
