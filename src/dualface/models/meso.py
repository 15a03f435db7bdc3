"""MesoNet (Afchar et al., WIFS 2018; DariusAf/MesoNet@2144d56): two small networks for faces."""

import re

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, dropout, leaky_relu, max_pool2d, relu

POOLS = (2, 2, 2, 4)
SHRINKS = 32  # times, by all poolings
# Names in Keras files: conv2d_5/kernel; the first of a kind may have no number.
OFFICIAL = re.compile(r"(conv2d|batch_normalization|dense)(?:_(\d+))?/(\w+)")
KINDS = {"conv2d": "convolutions", "batch_normalization": "norms", "dense": "dense"}
PARTS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation as Keras does it: its moving variance takes the batch's biased variance."""

    running_mean: Tensor
    running_var: Tensor
    momentum: float

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)`; in training by the batch, and let the moving statistics follow."""
        if not self.training:
            return super().forward(maps)
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        normalised = batch_norm(maps, mean, variance, self.weight, self.bias, training=True, momentum=1, eps=self.eps)
        count = maps.numel() // maps.shape[1]
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * ((count - 1) / count), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return normalised


class _Meso(nn.Module):
    """What both networks share: four stages of convolution, normalisation and pooling, and two dense layers.

    Attributes:
        convolutions: in the order in which the official code makes them.
        norms: one of each stage.
        dense: the two; the last one's output is the official one, P(REAL) before the sigmoid.
    """

    def __init__(self, convolutions: list[nn.Conv2d], *, channels: tuple[int, ...], input_size: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(BatchNorm(count) for count in channels)
        flat = channels[-1] * (input_size // SHRINKS) ** 2
        self.dense = nn.ModuleList([nn.Linear(flat, 16), nn.Linear(16, 1)])
        for layer in (*self.convolutions, *self.dense):  # as Keras starts them
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn `(N, 3, S, S)` float32 RGB in [0, 1] into `(N, 1)` float32 logits of FAKE."""
        maps = pixels
        for stage, (norm, pool) in enumerate(zip(self.norms, POOLS, strict=True)):
            maps = max_pool2d(norm(self.convolve(maps, stage)), pool)
        flat = maps.permute(0, 2, 3, 1).flatten(1)  # H, W, C, as official weights of the dense layer expect
        with torch.autocast(flat.device.type, enabled=False):
            hidden = leaky_relu(self.dense[0](dropout(flat.float(), training=self.training)), 0.1)
            real: Tensor = self.dense[1](dropout(hidden, training=self.training))
        return -real

    def convolve(self, maps: Tensor, stage: int) -> Tensor:
        """Run the convolutions of a stage, 0 to 3, and the ReLU after them: `(N, C, H, W)` to `(N, C', H, W)`."""
        raise NotImplementedError


class Meso4(_Meso):
    """Four convolutions; 27,977 parameters at 256 px."""

    def __init__(self, input_size: int) -> None:
        """Make it.

        Args:
            input_size: S, side of a face, px; a multiple of 32.
        """
        convolutions = [_convolution(3, 8, 3), _convolution(8, 8, 5), _convolution(8, 16, 5), _convolution(16, 16, 5)]
        super().__init__(convolutions, channels=(8, 8, 16, 16), input_size=input_size)

    def convolve(self, maps: Tensor, stage: int) -> Tensor:
        """Run the one convolution of a stage."""
        return relu(self.convolutions[stage](maps))


class MesoInception4(_Meso):
    """Two stages of four parallel branches, then two convolutions; 28,615 parameters at 256 px."""

    def __init__(self, input_size: int) -> None:
        """Make it.

        Args:
            input_size: S, side of a face, px; a multiple of 32.
        """
        first, second = _branches(3, (1, 4, 4, 2)), _branches(11, (2, 4, 4, 2))
        convolutions = [*first, *second, _convolution(12, 16, 5), _convolution(16, 16, 5)]
        super().__init__(convolutions, channels=(11, 12, 16, 16), input_size=input_size)

    def convolve(self, maps: Tensor, stage: int) -> Tensor:
        """Run the four branches of the first two stages, or the one convolution of the others."""
        if stage >= 2:
            return relu(self.convolutions[12 + stage](maps))
        single, *pairs = self.convolutions[7 * stage : 7 * stage + 7]
        branches = [relu(single(maps))]
        for narrow, wide in zip(pairs[::2], pairs[1::2], strict=True):
            branches.append(relu(wide(relu(narrow(maps)))))
        return torch.cat(branches, 1)


def _convolution(before: int, after: int, size: int, dilation: int = 1) -> nn.Conv2d:
    """Make a convolution that keeps height and width."""
    return nn.Conv2d(before, after, size, padding=dilation * (size // 2), dilation=dilation)


def _branches(before: int, widths: tuple[int, int, int, int]) -> list[nn.Conv2d]:
    """Make the seven convolutions of a stage: 1x1 alone, then 1x1 and 3x3 with dilation 1, 2 and 3."""
    convolutions = [_convolution(before, widths[0], 1)]
    for dilation, width in enumerate(widths[1:], start=1):
        convolutions += [_convolution(before, width, 1), _convolution(width, width, 3, dilation)]
    return convolutions


def from_official(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Map the tensors of a Keras weight file of either network to the names and layouts here.

    Files list the layers in the order of the graph, where branches stand crosswise, and number them from any
    number on. Only the order of the numbers is that of their making.

    Args:
        official: by `LAYER/WEIGHT`, such as `conv2d_5/kernel`.

    Returns:
        A state_dict; what it does not know keeps its name.
    """
    found = {name: match for name in official if (match := OFFICIAL.fullmatch(name)) and match[3] in PARTS}
    numbers = sorted({(match[1], int(match[2] or 0)) for match in found.values()})
    ranks = {layer: sum(layer[0] == other[0] and other < layer for other in numbers) for layer in numbers}
    state = {}
    for name, tensor in official.items():
        if match := found.get(name):
            kind, part = match[1], match[3]
            ours = f"{KINDS[kind]}.{ranks[kind, int(match[2] or 0)]}.{PARTS[part]}"
            state[ours] = _layout(tensor) if part == "kernel" else tensor
        else:
            state[name] = tensor
    return state


def _layout(kernel: Tensor) -> Tensor:
    """Turn a Keras kernel, `(H, W, in, out)` or `(in, out)`, into PyTorch's layout: output first, then input."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(kernel.ndim)
    return kernel if axes is None else kernel.permute(axes).contiguous()
