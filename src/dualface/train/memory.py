"""How much memory a step takes, and what to lower when there is too little."""

import os

import torch
from torch import Tensor, nn

from dualface.batches import Batch
from dualface.device import Device
from dualface.params import TrainParams

PROBE = 8  # faces: enough for any batch normalisation
SHARE = 0.8  # of the memory that is free without activations: the rest is lost between blocks


def kept_bytes(network: nn.Module, faces: Tensor, *, device: Device) -> int:
    """Count the bytes that the network keeps for the gradient of these faces.

    Args:
        network: a DualNet.
        faces: `(N, S, S, 3)` uint8, on the device.
        device: where and in which precision it computes.
    """
    storages: dict[int, int] = {}
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    held = []  # a storage that was freed could give its address to another
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), device.autocast():
        held.append(network.features(faces))  # type: ignore[operator]
    return sum(storages.values())


def advice(network: nn.Module, batch: Batch, *, train: TrainParams, device: Device) -> str:
    """Say which setting to lower, and to what, after a step of this batch ran out of memory."""
    count = len(batch.faces)
    if device.torch.type == "cuda":
        torch.cuda.empty_cache()
    plain = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    faces = batch.faces[:PROBE].to(device.torch)
    each = kept_bytes(plain, faces, device=device) / len(faces)
    free = free_bytes(device)
    fits = max(PROBE, int(SHARE * free / each) // PROBE * PROBE)
    now = count if train.micro_batch is None else min(count, train.micro_batch)
    told = f"{device} has too little memory for {now:,} faces at once ({each / 2**20:.1f} MiB each)"
    if fits < now:
        return f"{told}: set train.micro_batch: {fits} (now {train.micro_batch or 'null'})"
    return f"{told}, though {free / 2**30:.1f} GiB are free: lower train.batch_size or train.frames, or free the device"


def free_bytes(device: Device) -> float:
    """Return the memory that is free on the device."""
    if device.torch.type == "cuda":
        return float(torch.cuda.mem_get_info(device.torch)[0])
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
