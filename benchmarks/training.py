"""Cost of a training step, of padding, and of waiting for data.

    python benchmarks/training.py                    # ResNet-50 on 64 px, a CPU: few frames
    python benchmarks/training.py --frames 300       # a GPU: the paper's 16 x 300

On a CPU: the engine against a loop over time in float32, written here, interleaved, medians of CPU seconds, one thread.
Goals: at least 1.9 times less in bfloat16 channels-last and 1.1 times in float32; padding at most 1.1 times its share.
On a GPU: milliseconds a step by the device's clock (goal 60 at 16 x 300 on an H200), frames a second, peak memory, and
what each setting brings. Then the loader: how long steps wait for faces that come from shards.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dualface import params
from dualface.batches import Batch
from dualface.device import Device
from dualface.feeds import RandomFeed
from dualface.losses import dual_loss, joint_loss
from dualface.models.dual import DualNet
from dualface.params import LossParams, TrainParams
from dualface.processes import ALONE
from dualface.shards import write
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack, encode
from dualface.train.fit import network
from dualface.train.step import Step
from dualface.windows import Sampling

SIDE, VIDEOS = 64, 16
LOSS = LossParams(name="joint", gamma=0.15, p=2.0, alpha=0.5, beta=0.5, focal_alpha=0.6, focal_exponent=2.0)


def settings(frames: int, **changes: object) -> TrainParams:
    """The method's settings, ResNet-50."""
    values = params.load(Path(__file__).parents[1] / "params.yaml").train.model_dump()
    values |= {"backbone": "resnet50", "init": "paper", "batch_size": VIDEOS, "frame_batch": 3000}
    values |= {"frames": frames, "stride": 1, "overlap": 0.0, "epochs": 1, "flip": False}
    values |= {"learning_rate": 1e-4, "schedule": "constant"}
    return TrainParams.model_validate(values | changes)


def batch_of(frames: int, *, share: float = 1.0, seed: int = 0) -> Batch:
    """Faces of 16 videos, 3 of them fake; a video has this share of the window's frames."""
    rng, length = np.random.default_rng(seed), max(1, round(share * frames))
    label = torch.tensor([1] * 3 + [0] * (VIDEOS - 3), dtype=torch.uint8)
    faces = torch.from_numpy(rng.integers(0, 256, (VIDEOS * length, SIDE, SIDE, 3), dtype=np.uint8))
    lengths = torch.full((VIDEOS,), length)
    return Batch([str(n) for n in range(VIDEOS)], faces, lengths, label.repeat_interleave(length), label)


def stepped(train: TrainParams, *, device: Device) -> Step:
    """This project's engine."""
    model = network(train.spec(SIDE), train=train, device=device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=train.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return Step(model, optimizer, schedule, LOSS, train, device, ALONE)


def engine(train: TrainParams, batch: Batch, *, device: Device) -> Callable[[], object]:
    step = stepped(train, device=device)
    return lambda: step.run(batch, stop=False)


def loop(frames: int, batch: Batch) -> Callable[[], object]:
    """A step as it is often written: float32, the backbone called for each moment of the padded videos."""
    model = DualNet("resnet50").train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, foreach=False)
    faces = padded(batch, frames)  # (B, T, S, S, 3)

    def step() -> None:
        optimizer.zero_grad()
        features = [model.backbone(model.normalise(faces[:, at]).contiguous()) for at in range(frames)]
        logits = model.heads(torch.stack(features, dim=1))
        assert logits.video is not None  # noqa: S101  (both levels, as made)
        assert logits.frame is not None  # noqa: S101
        weights: dict[str, Any] = {"alpha": LOSS.alpha, "gamma": LOSS.gamma, "p": LOSS.p}
        video = joint_loss(logits.video, batch.video_label, **weights)
        frame = joint_loss(logits.frame.flatten(), batch.video_label.repeat_interleave(frames), **weights)
        dual_loss({"video": video, "frame": frame}, beta=LOSS.beta).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def padded(batch: Batch, frames: int) -> Tensor:
    parts = [nn.functional.pad(one, (0, 0) * 3 + (0, frames - len(one))) for one in batch.faces.chunk(VIDEOS)]
    return torch.stack(parts)


def interleaved(tasks: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each task, after one round that is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            begun = time.process_time()
            task()
            spent[name].append(time.process_time() - begun)
    return {name: statistics.median(values[1:]) for name, values in spent.items()}


def on_cpu(frames: int, *, rounds: int) -> None:
    torch.set_num_threads(1)
    plain, half = (Device(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16))
    train, batch = settings(frames), batch_of(frames)
    tasks = {
        "loop over time, float32": loop(frames, batch),
        "engine, float32": engine(train, batch, device=plain),
        "engine, bfloat16": engine(train, batch, device=half),
        "engine, bfloat16, half of each video padding": engine(train, batch_of(frames, share=0.5), device=half),
        "engine, bfloat16, in 4 pieces": engine(
            settings(frames, micro_batch=max(8, VIDEOS * frames // 4)), batch, device=half
        ),
        "engine, bfloat16, blocks recomputed": engine(train, batch, device=replace(half, recompute=True)),
    }
    spent = interleaved(tasks, rounds=rounds)
    base, whole = spent["loop over time, float32"], spent["engine, bfloat16"]
    print(f"ResNet-50, {VIDEOS} x {frames} faces of {SIDE} px, one thread: CPU ms a frame")
    for name, seconds in spent.items():
        print(f"  {name:46} {seconds / (VIDEOS * frames) * 1e3:6.2f}   {base / seconds:5.2f}x")
    share = spent["engine, bfloat16, half of each video padding"] / whole
    print(f"  padding: half of the frames cost {share:.2f} of the whole: {2 * share:.2f} times their share (goal 1.1)")


def on_gpu(frames: int) -> None:
    """What each setting brings, on its own and one after the other."""
    gpu = torch.device("cuda")
    torch.set_float32_matmul_precision("high")
    half = Device(gpu, torch.bfloat16)
    print(f"{torch.cuda.get_device_name()}, ResNet-50, {VIDEOS} x {frames} faces of {SIDE} px")
    for name, device, changes in (
        ("float32 (TF32)", Device(gpu, torch.float32), {}),
        ("bfloat16", half, {}),
        ("bfloat16, compiled", replace(half, compile=True), {}),
        ("bfloat16, blocks recomputed", replace(half, recompute=True), {}),
        ("bfloat16, in 4 pieces", half, {"micro_batch": VIDEOS * frames // 4}),
    ):
        torch.cuda.reset_peak_memory_stats()
        batch = batch_of(frames).pin_memory()
        spent = _timed(engine(settings(frames, **changes), batch, device=device))
        peak = torch.cuda.max_memory_allocated() / 2**30
        rate = VIDEOS * frames / spent * 1e3
        print(f"  {name:30} {spent:7.1f} ms a step, {rate:8,.0f} frames/s, peak {peak:5.1f} GiB")
        torch.cuda.empty_cache()


def _timed(task: Callable[[], object]) -> float:
    spent: list[float] = []
    for _ in range(13):
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun.record()
        task()
        ended.record()
        torch.cuda.synchronize()
        spent.append(begun.elapsed_time(ended))
    return statistics.median(spent[3:])


def data(folder: Path, *, videos: int, count: int) -> tuple[Shards, dict[str, int]]:
    """Shards of faces that change slowly, as faces do."""
    rng = np.random.default_rng(0)

    def tracks() -> object:
        for number in range(videos):
            still = rng.integers(0, 256, (SIDE, SIDE, 3))
            faces = np.clip(still + rng.normal(0, 3, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            index, boxes = np.arange(count, dtype=np.int32), np.zeros((count, 4), dtype=np.int32)
            labels = np.full(count, number % 5 == 0, dtype=np.uint8)
            yield f"v{number:04d}", encode(FaceTrack(f"v{number:04d}", faces, index, boxes, labels, meta={}))

    write.write(folder, tracks(), shard_bytes=10**8)  # type: ignore[arg-type]
    return Shards(folder), {f"v{number:04d}": int(number % 5 == 0) for number in range(videos)}


def loading(frames: int, *, device: Device, loaders: int) -> None:
    """How long steps wait for their faces."""
    train = settings(frames)
    sampling = Sampling(frames=frames, stride=1, flip=False, batch_size=VIDEOS, fewest=1, seed=0)
    gpu = device.torch.type == "cuda"
    with tempfile.TemporaryDirectory() as temporary:
        shards, labels = data(Path(temporary), videos=96, count=max(frames, 30))
        feed = RandomFeed(shards, labels, {}, sampling, loaders=loaders, rank=0, world=1, pin_memory=gpu)
        begun, videos = time.perf_counter(), 0
        for batch in feed.epoch(1, start=0):
            videos += len(batch.keys)
        alone = videos / (time.perf_counter() - begun)
        step = stepped(train, device=device)
        waited, begun = 0.0, time.perf_counter()
        mark = begun
        for batch in feed.epoch(2, start=0):
            waited += time.perf_counter() - mark
            step.run(batch, stop=False).read()
            mark = time.perf_counter()
        share = waited / (time.perf_counter() - begun)
    print(f"loader, {loaders} processes: {alone:.0f} windows of {frames} faces a second")
    print(f"steps wait for them {share:.1%} of the time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loaders", type=int, default=None)
    args = parser.parse_args()
    if torch.cuda.is_available():
        on_gpu(args.frames)
        loading(args.frames, device=Device(torch.device("cuda"), torch.bfloat16), loaders=args.loaders or 8)
    else:
        on_cpu(args.frames, rounds=args.rounds)
        loading(args.frames, device=Device(torch.device("cpu"), torch.bfloat16), loaders=args.loaders or 0)


if __name__ == "__main__":
    main()
