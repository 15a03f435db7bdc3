import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from dualface.batches import Batch, valid
from dualface.errors import TrainingError
from dualface.losses import dual_loss, joint_loss
from dualface.models.frame_level import mean_score
from dualface.models.logits import Logits
from dualface.processes import ALONE
from dualface.train import memory
from dualface.train.fit import network
from dualface.train.step import Layout, Step, Told, table_of, terms_of
from world import CPU, World, feed_of, loss_params, run, train_params


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
    layout = Layout.of(logits, frames=4)
    table = table_of(logits, batch, rows=rows, layout=layout, stop=False)
    terms = terms_of(table, layout=layout, kind="joint", settings=settings)
    weights = {"alpha": 0.5, "gamma": 0.15, "p": 2}
    flat = torch.cat([row[:length] for row, length in zip(logits.frame, batch.lengths, strict=True)])
    video = joint_loss(logits.video, batch.video_label, **weights)
    frame = joint_loss(flat, batch.frame_label, **weights)
    torch.testing.assert_close(terms["loss"], dual_loss({"video": video, "frame": frame}, beta=0.3))
    assert int(terms["video_pairs"]) == 2
    assert int(terms["frame_pairs"]) == 9
    assert terms["without_pairs"] == 0
    assert terms["stop"] == 0


def test_one_process_that_was_asked_to_stop_tells_all():
    batch = batch_of()
    logits = logits_of(batch, frames=3)
    layout = Layout.of(logits, frames=3)
    tables = [table_of(logits, batch, rows=3, layout=layout, stop=stop) for stop in (False, True)]
    assert terms_of(torch.cat(tables), layout=layout, kind="joint", settings=loss_params())["stop"] == 1


def test_the_components_of_a_score_have_a_loss_each():
    batch, settings = batch_of(), loss_params()
    components = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    logits = Logits(None, mean_score(components), components)
    layout = Layout.of(logits, frames=4)
    table = table_of(logits, batch, rows=5, layout=layout, stop=False)
    terms = terms_of(table, layout=layout, kind="component_bce", settings=settings)
    counted = valid(batch.lengths, frames=4)
    label = batch.frame_label.float()
    want = sum(binary_cross_entropy_with_logits(components[counted][:, k], label) for k in range(2))
    torch.testing.assert_close(terms["loss"], want)
    assert "video_pairs" not in terms


def test_the_cumulative_loss_weighs_both_samplers_by_their_share():
    batch, settings = batch_of(lengths=(2, 2, 2, 2), labels=(1, 0, 1, 1)), loss_params()
    frame = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    logits = Logits(None, frame, weight=torch.tensor([0.7, 0.7, 0.3, 0.3]))
    layout = Layout.of(logits, frames=2)
    terms = terms_of(
        table_of(logits, batch, rows=6, layout=layout, stop=False), layout=layout, kind="cumulative", settings=settings
    )
    first, second = (
        binary_cross_entropy_with_logits(frame[rows].flatten(), batch.frame_label.float().view(4, 2)[rows].flatten())
        for rows in (slice(0, 2), slice(2, 4))
    )
    torch.testing.assert_close(terms["loss"], 0.7 * first + 0.3 * second)


def test_squared_error_is_of_the_probability():
    batch = batch_of()
    logits = Logits(None, logits_of(batch, frames=3).frame)
    layout = Layout.of(logits, frames=3)
    table = table_of(logits, batch, rows=3, layout=layout, stop=False)
    terms = terms_of(table, layout=layout, kind="squared_error", settings=loss_params())
    score = torch.sigmoid(logits.frame[valid(batch.lengths, frames=3)])
    torch.testing.assert_close(terms["loss"], (score - batch.frame_label.float()).square().mean())


def test_a_number_that_is_not_finite_names_the_videos():
    told = Told([f"k{i}" for i in range(34)], ("loss",), torch.tensor([float("inf")]), None)
    with pytest.raises(TrainingError, match=r"the loss is inf in the batch of k0, k1, .*, k31 and 2 more: lower train"):
        told.read()


def test_a_batch_that_batch_normalisation_can_not_take_is_told(tmp_path):
    small = World(tmp_path, train={"a": 1, "b": 0, "c": 0}, side=16).write()
    with pytest.raises(TrainingError, match=r"the batch of [abc] leaves batch normalisation a single number"):
        run(small, loss={"name": "bce"}, train={"frames": 1, "batch_size": 2})


@pytest.fixture
def step(tmp_path):
    world, loss, train = World(tmp_path).write(), loss_params(), train_params()
    model = network(train.spec(32), train=train, device=CPU)
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
    train = train_params()
    model = network(train.spec(32), train=train, device=CPU).train()
    faces = torch.zeros(16, 32, 32, 3, dtype=torch.uint8)
    eight, sixteen = (memory.kept_bytes(model, faces[:count], device=CPU) for count in (8, 16))
    assert 1.9 < sixteen / eight < 2.1
