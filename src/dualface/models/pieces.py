"""Training within little memory: what a layer keeps for its gradient is computed again when it is needed.

Both ways are exact: the loss is that of the whole batch, with all its pairs, and so is the gradient.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock, Bottleneck


def in_pieces(compute: Callable[[Tensor], Tensor], faces: Tensor, *, at_once: int | None, network: nn.Module) -> Tensor:
    """Compute features of faces, a piece of the batch at a time.

    All features are computed first, without what their gradient needs. The backward pass computes a piece again
    and takes its gradient before it turns to the next: memory is that of one piece, for one more forward pass.

    In training, batch normalisation takes its statistics from each piece instead of the whole batch, and its
    running averages get one update from each. In evaluation mode the pieces change nothing.

    Args:
        compute: `(N, S, S, 3)` uint8 to `(N, D)`.
        faces: `(F, S, S, 3)` uint8.
        at_once: most faces in a piece; None, or no gradient wanted = all.
        network: what `compute` runs, for its normalisation layers.

    Returns:
        `(F, D)`.
    """
    if at_once is None or not torch.is_grad_enabled():
        return compute(faces)
    pieces = faces.tensor_split(math.ceil(len(faces) / at_once))
    return torch.cat([recomputed(compute, piece, network=network) for piece in pieces])


def recompute_blocks(network: nn.Module) -> None:
    """Let each residual block of a ResNet keep its input only: some fifth of the memory, for one more forward pass.

    Unlike pieces it changes no statistics: the weights come out the same.
    """
    for block in network.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            block.forward = partial(_block, block.forward, block)


def _block(compute: Callable[[Tensor], Tensor], block: nn.Module, faces: Tensor) -> Tensor:
    return recomputed(compute, faces, network=block) if torch.is_grad_enabled() else compute(faces)


def recomputed(compute: Callable[[Tensor], Tensor], inputs: Tensor, *, network: nn.Module) -> Tensor:
    """Call `compute`, and once more for its gradient; the second time leaves running averages alone."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), still(network)

    result: Tensor = checkpoint(compute, inputs, use_reentrant=False, context_fn=contexts, preserve_rng_state=True)
    return result


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Normalise by the batch as before, with a momentum of 0: running averages stay as they are."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.training]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.momentum, layer.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for layer, (momentum, counted) in zip(layers, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, counted
