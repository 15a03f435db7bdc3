"""The machine's side of a run: which device computes, and in which precision. No result's parameter."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from dualface.errors import DualfaceError


@dataclass(frozen=True)
class Device:
    """How a network is computed.

    Attributes:
        torch: the device.
        dtype: of its matrix work: float32, or bfloat16 by autocast.
        compile: whether `torch.compile` makes the backbone's kernels.
        recompute: whether training keeps less and computes it again (`dualface.models.pieces.recompute_blocks`).
    """

    torch: torch.device
    dtype: torch.dtype  # type: ignore[name-defined]
    compile: bool = False
    recompute: bool = False

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network runs."""
        return torch.autocast(self.torch.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def __str__(self) -> str:
        """Name it for people: `cuda, bfloat16`."""
        return f"{self.torch}, {str(self.dtype).removeprefix('torch.')}"


def pick(*, threads: int, number: int = 0) -> Device:
    """Choose the device: `DUALFACE_DEVICE` (cpu, cuda, cuda:1), else a GPU, else the CPU.

    bfloat16 where the device has it in hardware, float32 elsewhere; on a GPU, float32 work is done in TF32.

    Args:
        threads: of the computation on a CPU. More than there are idle cores is many times slower than one.
        number: which GPU, where the variable names none: of several processes each takes its own.

    Raises:
        DualfaceError: a variable names no device of this machine, or is not 0 or 1.
    """
    name = os.environ.get("DUALFACE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    name = f"cuda:{number}" if name == "cuda" else name
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise DualfaceError(
            f"DUALFACE_DEVICE: expected cpu, cuda or cuda:N with a GPU of this machine, got {name!r}"
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        torch.set_num_threads(threads)
        capable = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        fast = bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))
    else:
        fast = False
    compiled, recompute = _is_set("DUALFACE_COMPILE"), _is_set("DUALFACE_RECOMPUTE")
    if compiled and recompute:
        raise DualfaceError(
            "DUALFACE_COMPILE and DUALFACE_RECOMPUTE: set one of them; train.micro_batch goes with both"
        )
    return Device(device, torch.bfloat16 if fast else torch.float32, compile=compiled, recompute=recompute)


def _is_set(name: str) -> bool:
    text = os.environ.get(name) or "0"
    if text not in ("0", "1"):
        raise DualfaceError(f"{name}: expected 0 or 1, got {text[:40]!r}")
    return text == "1"
