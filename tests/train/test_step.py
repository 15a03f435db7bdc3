import numpy as np
import pytest
import torch

from dualface.batches import Batch
from dualface.errors import TrainingError
from dualface.losses import dual_loss, joint_loss
from dualface.models.dual import Logits
from dualface.processes import ALONE
from dualface.train import memory
from dualface.train.fit import network
from dualface.train.step import Step, Told, table_of, terms_of
from world import CPU, World, feed_of, loss_params, train_params


def batch_of(*, lengths=(3, 2, 1), labels=(1, 0, 0)):
    rng = np.random.default_rng(0)
    count = sum(lengths)
    return Batch(
        keys=[f"v{i}" for i in range(len(lengths))],
        faces=torch.from_numpy(rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)),
        lengths=torch.tensor(lengths),
        frame_label=torch.tensor(np.repeat(labels, lengths), dtype=torch.uint8),
        video_label=torch.tensor(labels, dtype=torch.uint8),
    )


def logits_of(batch, *, frames):
    rng = torch.Generator().manual_seed(0)
    count = len(batch.keys)
    return Logits(torch.randn(count, generator=rng), torch.randn(count, frames, generator=rng))


@pytest.mark.parametrize("rows", [3, 7])
def test_the_table_gives_the_loss_of_valid_frames_alone(rows):
    batch, settings = batch_of(), loss_params(beta=0.3)
    logits = logits_of(batch, frames=4)
    terms = terms_of(table_of(logits, batch, rows=rows, frames=4, stop=False), frames=4, settings=settings)
    weights = {"alpha": 0.5, "gamma": 0.15, "p": 2}
    flat = torch.cat([row[:length] for row, length in zip(logits.frame, batch.lengths, strict=True)])
    video = joint_loss(logits.video, batch.video_label, **weights)
    frame = joint_loss(flat, batch.frame_label, **weights)
    torch.testing.assert_close(terms["loss"], dual_loss(video, frame, beta=0.3))
    assert int(terms["video_pairs"]) == 2
    assert int(terms["frame_pairs"]) == 9
    assert terms["without_pairs"] == 0
    assert terms["stop"] == 0


def test_one_process_that_was_asked_to_stop_tells_all():
    batch = batch_of()
    tables = [table_of(logits_of(batch, frames=3), batch, rows=3, frames=3, stop=stop) for stop in (False, True)]
    assert terms_of(torch.cat(tables), frames=3, settings=loss_params())["stop"] == 1


def test_a_number_that_is_not_finite_names_the_videos():
    told = Told([f"k{i}" for i in range(5)], ("loss",), torch.tensor([float("inf")]), None)
    with pytest.raises(TrainingError, match=r"the loss is inf in the batch of k0, k1, k2 and 2 more: lower train"):
        told.read()


@pytest.fixture
def step(tmp_path):
    world, loss, train = World(tmp_path).write(), loss_params(), train_params()
    model = network(train, device=CPU)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    batch = next(feed_of(world, loss, train).epoch(1, start=0))
    return Step(model, optimizer, schedule, loss, train, CPU, ALONE), batch


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_says_what_to_lower_and_to_what(step, monkeypatch, error):
    step, batch = step

    def full(*_args, **_keywords):
        raise error

    monkeypatch.setattr(step.network, "heads", full)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 30 * 2**20)
    batch = Batch(batch.keys, batch.faces.repeat(100, 1, 1, 1), batch.lengths, batch.frame_label, batch.video_label)
    with pytest.raises(
        TrainingError, match=r"too little memory for 1,\d00 faces at once .* train.micro_batch: \d+ "
    ) as told:
        step.run(batch, stop=False)
    fits = int(str(told.value).split("micro_batch: ")[1].split()[0])
    assert 8 <= fits < len(batch.faces)
    assert fits % 8 == 0


def test_other_errors_pass(step, monkeypatch):
    step, batch = step

    def broken(*_args, **_keywords):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(step.network, "heads", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        step.run(batch, stop=False)


def test_what_a_face_keeps_is_counted_per_face():
    model = network(train_params(), device=CPU).train()
    faces = torch.zeros(16, 32, 32, 3, dtype=torch.uint8)
    eight, sixteen = (memory.kept_bytes(model, faces[:count], device=CPU) for count in (8, 16))
    assert 1.9 < sixteen / eight < 2.1
