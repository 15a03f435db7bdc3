"""What the parameters say of a training, for those that carry it out."""

from dualface.methods import loss_kind
from dualface.params import LossParams, TrainParams, fewest_fakes
from dualface.windows import Sampling


def sampling(loss: LossParams, train: TrainParams) -> Sampling:
    """Return how training videos become batches."""
    return Sampling(
        frames=train.frames,
        stride=train.stride,
        flip=train.flip,
        batch_size=train.windows,
        fewest=fewest_fakes(loss, train),
        seed=train.seed,
        visits=train.visits,
        self_blend=train.self_blend,
        mirrored=loss_kind(train.method, loss.name) == "cumulative",
    )
