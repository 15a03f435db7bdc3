"""Learning from few fakes: cross-entropy, focal and joint loss at 1, 10 and 30 real videos to a fake.

    python benchmarks/skew.py FOLDER     # some 45 minutes on one core; a second call goes on where the first was ended

Renders three demo sets of other people each (300 + 300 training videos, as many for a backbone trained before, 150 +
150 for the test), cuts out the faces as the pipeline does, and trains the dual-level network on `cnn4`, 300 steps of 16
videos of 8 frames. Each cell has the same steps; its figures are those of the last step on the test set, on which
nothing is chosen. Seeds choose the fakes, the weights and the order; losses of one seed share all three. Cells lie in
benchmarks/skew.csv; the tables give means and 95 % intervals (Student's t) over seeds.
"""

import argparse
import csv
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dualface import demo, params, scan
from dualface.batches import Batch, collate, epoch_batches
from dualface.device import Device
from dualface.faces import engine, work
from dualface.losses import LevelLoss, dual_loss
from dualface.metrics import roc_auc
from dualface.models.dual import DualNet
from dualface.params import LossParams
from dualface.predict import score_videos
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack
from dualface.shards.write import write
from dualface.train.optimizer import optimizer_of
from dualface.train.step import level_loss
from dualface.windows import Sampling, draw

ROOT = Path(__file__).resolve().parents[1]
CELLS = Path(__file__).with_suffix(".csv")
SETS = {"train": (100, 300), "test": (102, 150), "other": (103, 300)}  # seed, people
FRAMES, STRIDE, VIDEOS = 8, 2, 16
DEVICE = Device(torch.device("cpu"), torch.bfloat16)
BASES = {"one change": ("paper's recipe", "joint"), "changed": ("ours", "joint")}  # what changes are compared with
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}


@dataclass(frozen=True)
class Cell:
    """One training: what may differ between two."""

    group: str
    fakes: int
    loss: str
    seed: int
    gamma: float = 0.15
    alpha: float = 0.5
    share: float = 0.0  # of fakes in a batch; 0 = spread, one at least
    init: str = "paper"
    before: bool = False  # whether the backbone was trained on other people, at balance
    steps: int = 300
    rate: float = 1.0  # learning rate of the backbone over the rest's
    blend: float = 0.0  # share of the real windows that are made fakes by blending them with themselves


OURS = Cell("changed", 30, "joint", 0, share=0.5, init="torch", before=True)
Tracks = list[tuple[FaceTrack, int]]


def faces(folder: Path, name: str) -> Tracks:
    """Render a set and cut out its faces, once."""
    seed, people = SETS[name]
    videos, shards = folder / name / "videos", folder / name / "shards"
    if not shards.exists():
        settings = params.load(ROOT / "params.yaml").faces
        demo.render(videos, plan(seed, people), workers=1)
        listed = scan.scan("celebdf", videos)
        place_of = {"videos": listed.videos, "settings": settings, "data_root": listed.root}
        with work.opened(folder / name / "work", **place_of) as place:  # type: ignore[arg-type]
            attempts = engine.engine("local", workers=1)
            rows = engine.run(listed.videos, work=place, settings=settings, attempts=attempts)
            shards.mkdir()
            write(shards, engine.samples(listed.videos, rows, work=place), shard_bytes=10**9)
    label_of = {video.key: video.label for video in scan.scan("celebdf", videos).videos}
    found = Shards(shards)
    return [(found.read(key), label_of[key]) for key in found.keys()]  # noqa: SIM118  (no mapping)


def plan(seed: int, people: int) -> demo.DemoPlan:
    """One real and one fake video of each, short ones."""
    return demo.DemoPlan(
        seed=seed,
        identities=people,
        test_identities=people // 2,
        videos_per_identity=1,
        fakes_per_video=1,
        youtube_real=0,
        frames=16,
        width=320,
        height=240,
        crf=23,
        strength=(0.35, 1.0),
        partial_share=0.35,
    )


def chosen(tracks: Tracks, *, fakes: int, seed: int) -> Tracks:
    """All reals (at most 300) and so many fakes, drawn by the seed."""
    rng = np.random.default_rng([seed, 77])
    label = np.array([one for _, one in tracks])
    drawn = rng.permutation(np.flatnonzero(label == 1))[:fakes]
    reals = rng.permutation(np.flatnonzero(label == 0))[:300]
    return [tracks[at] for at in np.sort(np.concatenate([reals, drawn]))]


def batches(tracks: Tracks, cell: Cell) -> Iterator[Batch]:
    is_fake = np.array([label == 1 for _, label in tracks])
    fewest = max(1, round(cell.share * VIDEOS))
    ways: dict[str, Any] = {"frames": FRAMES, "stride": STRIDE, "batch_size": VIDEOS, "fewest": fewest}
    sampling = Sampling(**ways, flip=True, seed=cell.seed, self_blend=cell.blend)
    rng, epoch = np.random.default_rng([cell.seed, 5]), 0
    while True:
        epoch += 1
        for numbers in epoch_batches(is_fake, batch_size=VIDEOS, fewest=fewest, rng=rng):
            videos = [(number, *tracks[number]) for number in numbers]
            yield collate([draw(t, sampling, label=y, epoch=epoch, visit=(n, 0)) for n, t, y in videos])


def trained(tracks: Tracks, cell: Cell, *, backbone: dict[str, Tensor] | None) -> DualNet:
    """Train a network; with `backbone`, from these weights."""
    numbers = {"gamma": cell.gamma, "p": 2.0, "alpha": cell.alpha, "beta": 0.5}
    focal = {"focal_alpha": 0.6, "focal_exponent": 2.0}
    settings = LossParams.model_validate({"name": cell.loss, **numbers, **focal})
    torch.manual_seed(cell.seed)
    model = DualNet("cnn4", init=cell.init)
    if backbone is not None:
        model.backbone.load_state_dict(backbone)
    model = model.to(memory_format=torch.channels_last).train()
    if cell.rate == 0:
        model.freeze_backbone()
    learning = {"learning_rate": 1e-3, "schedule": "one_cycle", "backbone_rate": cell.rate}
    usual = params.load(ROOT / "params.yaml").train
    optimizer, schedule = optimizer_of(model, usual.model_copy(update=learning), steps=cell.steps)
    source = batches(chosen(tracks, fakes=cell.fakes, seed=cell.seed), cell)
    for _ in range(cell.steps):
        optimizer.zero_grad()
        dual_loss(levels(model, next(source), settings), beta=0.5).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model


def levels(model: nn.Module, batch: Batch, settings: LossParams) -> dict[str, LevelLoss]:
    with DEVICE.autocast():
        logits = model(batch.faces, batch.lengths, frames=FRAMES)
    mask = torch.arange(FRAMES) < batch.lengths[:, None]
    frame, label = logits.frame[mask], batch.frame_label.float()
    video_label = batch.video_label.float()
    every = torch.ones_like(video_label, dtype=torch.bool)
    common: dict[str, Any] = {"kind": settings.name, "settings": settings}
    return {
        "video": level_loss(logits.video, video_label, valid=every, **common),
        "frame": level_loss(frame, label, valid=torch.ones_like(label, dtype=torch.bool), **common),
    }


def tested(model: DualNet, tracks: Tracks) -> tuple[float, float]:
    """AUC of videos and of frames."""
    scored = list(score_videos(model, iter(tracks), frames=FRAMES, stride=STRIDE, overlap=0, device=DEVICE))
    video = roc_auc(np.array([one.score for one in scored]), np.array([one.label for one in scored]))
    frame = np.concatenate([one.frame_score for one in scored])
    return video, roc_auc(frame, np.concatenate([one.frame_label for one in scored]))


def cells(seeds: int) -> list[Cell]:
    """The grid, seed by seed; then what changes bring to the joint loss, from the paper's recipe and from ours."""
    found, changed = [], []
    for seed in range(seeds):
        for fakes in (300, 30, 10):
            for loss in ("bce", "focal", "joint"):
                plain = Cell("paper's recipe", fakes, loss, seed)
                found += [plain, replace(plain, group="ours", share=0.5, init="torch", before=True)]
        base = Cell("one change", 30, "joint", seed)
        changes: list[dict[str, Any]] = [
            *({"share": 0.5}, {"init": "torch"}, {"before": True}, {"steps": 900}),
            *({"gamma": 0.5}, {"gamma": 1.0}, {"alpha": 0.0}, {"alpha": 0.25}, {"alpha": 0.75}),
        ]
        changed += [replace(base, **change) for change in changes]
        given: list[dict[str, Any]] = [{"rate": 0.1}, {"rate": 0.0}, {"blend": 0.5}]
        alone: list[dict[str, Any]] = [{"before": False}, {"before": False, "blend": 0.5}]
        for fakes in (30, 10):
            changed += [replace(OURS, fakes=fakes, seed=seed, **change) for change in given + alone]
    return found + changed


def measured(folder: Path, *, seeds: int) -> None:
    """Run the cells that the CSV does not have yet, and add them to it."""
    names = [*(field.name for field in fields(Cell)), "video_auc", "frame_auc", "seconds"]
    known = {tuple(row[field.name] for field in fields(Cell)) for row in rows()}
    data = {name: faces(folder, name) for name in SETS}
    before = trained(data["other"], Cell("before", 300, "bce", 0, steps=800), backbone=None).backbone.state_dict()
    for cell in cells(seeds):
        if tuple(str(value) for value in asdict(cell).values()) in known:
            continue
        begun = time.perf_counter()
        model = trained(data["train"], cell, backbone=before if cell.before else None)
        video, frame = tested(model, data["test"])
        fresh = not CELLS.exists()
        with CELLS.open("a", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            if fresh:
                writer.writeheader()
            figures = {"video_auc": f"{video:.4f}", "frame_auc": f"{frame:.4f}"}
            writer.writerow(asdict(cell) | figures | {"seconds": f"{time.perf_counter() - begun:.1f}"})
        sys.stderr.write(f"{cell}: {video:.3f} {frame:.3f}\n")


def rows() -> list[dict[str, str]]:
    if not CELLS.exists():
        return []
    with CELLS.open(newline="") as file:
        return list(csv.DictReader(file))


def interval(values: list[float]) -> str:
    half = STUDENT.get(len(values), math.nan) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.3f} ± {half:.3f}"


def told() -> None:
    """Print each kind of cell, and its difference, seed by seed, to cross-entropy or the unchanged joint loss."""
    named = [field.name for field in fields(Cell) if field.name != "seed"]
    kinds: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for row in rows():
        kinds.setdefault(tuple(row[name] for name in named), {})[row["seed"]] = row
    print("| recipe | fakes | loss | seeds | video AUC | frame AUC | video, difference | frame, difference |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, by_seed in kinds.items():
        if len(by_seed) > 1:
            of = dict(zip(named, kind, strict=True))
            group, loss = BASES.get(of["group"], (of["group"], "bce"))
            same = (group, of["fakes"], loss)
            base = {row["seed"]: row for row in rows() if grid(row) == same}
            name = changed(of) if of["group"] in BASES else group
            parts = [name, of["fakes"], of["loss"], str(len(by_seed))]
            print("| " + " | ".join([*parts, *figures(by_seed, base, itself=grid(of) == same)]) + " |")


def grid(row: dict[str, str]) -> tuple[str, str, str]:
    return row["group"], row["fakes"], row["loss"]


def changed(of: dict[str, str]) -> str:
    """Say in which value a cell differs from the usual ones."""
    base = OURS if of["group"] == "changed" else Cell("one change", 30, "joint", 0)
    usual = {name: str(value) for name, value in asdict(base).items()}
    return ", ".join(f"{name} {of[name]}" for name in list(of)[3:] if of[name] != usual[name])


def figures(by_seed: dict[str, dict[str, str]], base: dict[str, dict[str, str]], *, itself: bool) -> list[str]:
    levels = ("video_auc", "frame_auc")
    means = [interval([float(row[level]) for row in by_seed.values()]) for level in levels]
    both = [seed for seed in by_seed if seed in base]
    if itself or len(both) < 2:
        return [*means, "", ""]
    pairs = [(by_seed[seed], base[seed]) for seed in both]
    return means + [interval([float(one[level]) - float(other[level]) for one, other in pairs]) for level in levels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    measured(args.folder, seeds=args.seeds)
    told()


if __name__ == "__main__":
    main()
