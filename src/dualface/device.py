"""The machine's side of a run: which device computes, and in which precision. No result's parameter."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from dualface.errors import DualfaceError


@dataclass(frozen=True)
class Device:
    """A device and the type of its matrix work: float32, or bfloat16 by autocast."""

    torch: torch.device
    dtype: torch.dtype  # type: ignore[name-defined]

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network runs."""
        return torch.autocast(self.torch.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def __str__(self) -> str:
        """Name it for people: `cuda, bfloat16`."""
        return f"{self.torch}, {str(self.dtype).removeprefix('torch.')}"


def pick(*, threads: int) -> Device:
    """Choose the device: `DUALFACE_DEVICE` (cpu, cuda, cuda:1), else the first GPU, else the CPU.

    bfloat16 where the device has it in hardware, float32 elsewhere.

    Args:
        threads: of the computation on a CPU. More than there are idle cores is many times slower than one.

    Raises:
        DualfaceError: the variable names no device of this machine.
    """
    name = os.environ.get("DUALFACE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
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
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        torch.set_num_threads(threads)
        capable = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        fast = bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))
    else:
        fast = False
    return Device(device, torch.bfloat16 if fast else torch.float32)
