"""The optimizer of a training, and the schedule of its learning rate."""

from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from dualface.models.dual import DualNet
from dualface.params import TrainParams


def optimizer_of(model: nn.Module, train: TrainParams, *, steps: int) -> tuple[Adam, LRScheduler]:
    """Make Adam for what of a network is to be trained, and its schedule.

    Differs from the paper: the backbone may learn at another rate than the rest (`train.backbone_rate`), which keeps
    what it has seen before where there are few fakes to learn from.

    Args:
        model: the network; what does not require a gradient is left out.
        train: the section `train`.
        steps: of the whole training.
    """
    backbone: set[int] = set()
    if isinstance(model, DualNet) and train.backbone_rate != 1:
        backbone = {id(parameter) for parameter in model.backbone.parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parts = [
        (train.learning_rate, [parameter for parameter in trained if id(parameter) not in backbone]),
        (train.learning_rate * train.backbone_rate, [parameter for parameter in trained if id(parameter) in backbone]),
    ]
    parts = [(rate, parameters) for rate, parameters in parts if parameters]
    optimizer = Adam([{"params": parameters, "lr": rate} for rate, parameters in parts], fused=True)
    if train.schedule == "one_cycle":
        peaks = [rate for rate, _ in parts]
        return optimizer, OneCycleLR(optimizer, max_lr=peaks, total_steps=steps, cycle_momentum=False)
    return optimizer, ConstantLR(optimizer, factor=1.0)
