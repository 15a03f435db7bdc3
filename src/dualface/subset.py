"""Choice of the videos for training, validation and test: at the ratio asked for, disjoint by identity.

Three steps. First all listed videos are divided into pools: by official split, and by the identities held out of one.
Then each class of a pool gets an order of drawing, fixed by the seed alone; identities first, so that the first so
many videos show as many people as can be (Sec. 4.1). The counts asked for are the first usable ones in that order.
So neither another count or ratio, nor a video lost in face extraction, moves any other video.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import Any, TypeVar
from zlib import crc32

import numpy as np

from dualface.errors import SubsetError
from dualface.label import NAMES, REAL
from dualface.ledger import WITH_FACES, Attempt
from dualface.manifest import Video
from dualface.params import Counts, HeldOut, SubsetParams
from dualface.split import SPLITS, Choice

REST = "rest"  # the part of an official split that is left where a share is held out of it
T = TypeVar("T")
Report = dict[str, Any]  # counts, as they are written to JSON
Pool = tuple[str, str]  # official split, and the split that a share of it is held out for, or REST


def choose(videos: list[Video], attempts: list[Attempt], *, settings: SubsetParams) -> tuple[list[Choice], Report]:
    """Choose the videos of each split.

    Args:
        videos: the manifest. A video without official split counts as `train`.
        attempts: the ledger: what face extraction made of each of them.
        settings: how many of what, from where.

    Returns:
        The choices, and counts to report: of each split what is listed, usable and chosen; what no split can use.

    Raises:
        SubsetError: manifest and ledger are of different runs, there are too few videos, a class is missing in a
            split, or an identity is in two splits and `on_overlap` is `refuse`.
    """
    usable = _usable(videos, attempts, damaged=settings.damaged)
    pools, straddlers = divide(videos, settings)
    sources = {"train": ("train", REST), "val": _source("val", settings.val), "test": _source("test", settings.test)}
    chosen: dict[str, list[Video]] = {}
    report: Report = {}
    problems: list[str] = []
    for split, asked in (("train", settings.train), ("val", settings.val), ("test", settings.test)):
        listed = pools.get(sources[split], [])
        there = [video for video in listed if video.key in usable]
        wanted = _wanted(asked, _count(there), ratio=settings.ratio if split == "train" else None)
        pool = sum((video.split or "train") == sources[split][0] for video in videos)
        problems += _shortages(split, wanted, listed=_count(listed), usable=_count(there), pool=pool)
        chosen[split] = _drawn(listed, usable, wanted, seed=settings.seed, name="/".join(sources[split]))
        report[split] = {
            **_count(chosen[split]),
            "identities": len(_people(chosen[split])),
            "listed": _count(listed),
            "usable": _count(there),
        }
    if problems:
        raise SubsetError(f"params.yaml asks for videos that are not there: {'; '.join(problems)}")
    unused = [video for pool, members in pools.items() if pool not in sources.values() for video in members]
    report |= {"straddlers": _count(straddlers), "unused": _count(unused)}
    kept = [Choice(video.key, split, video.label) for split in SPLITS for video in chosen[split]]
    return kept, {"seed": settings.seed, **report, **_overlaps(chosen, refuse=settings.on_overlap == "refuse")}


def divide(videos: list[Video], settings: SubsetParams) -> tuple[dict[Pool, list[Video]], list[Video]]:
    """Divide all videos into pools; those with identities on two sides of a held-out share come second."""
    pools: dict[Pool, list[Video]] = defaultdict(list)
    straddlers = []
    by_key = sorted(videos, key=lambda video: video.key)
    for official in SPLITS:
        members = [video for video in by_key if (video.split or "train") == official]
        shares = {
            split: held.share
            for split, held in (("test", settings.test), ("val", settings.val))
            if held.take_from == official and held.share is not None
        }
        home = held_out(members, shares, rng=generator(settings.seed, f"{official}/identities"))
        for video in members:
            parts = {home.get(identity, REST) for identity in video.identities}
            if len(parts) == 1:
                pools[official, parts.pop()].append(video)
            else:
                straddlers.append(video)
    return dict(pools), straddlers


def held_out(videos: list[Video], shares: dict[str, float], *, rng: np.random.Generator) -> dict[str, str]:
    """Draw the identities to hold out, until the share of the real videos that show no one else is reached.

    People tied to others by fakes, people in real videos only and people in fakes only are drawn apart, so that each
    kind gives its share (counted in all videos where a kind has no real ones). Of those tied by a fake to someone
    already held, the one with most such fakes comes next: a draw blind to the fakes would cut most of them in two.

    Args:
        videos: those to divide.
        shares: share in (0, 1) by the split that it is held out for.
        rng: where chance comes from.

    Returns:
        The split by identity; an identity that is not held out has none.
    """
    ties: dict[str, Counter[str]] = defaultdict(Counter)
    seen: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        for identity in video.identities:
            seen[identity].append(video)
            ties[identity].update(other for other in video.identities if other != identity)
    home: dict[str, str] = {}
    for names in _kinds(_shuffled(sorted(seen), rng), seen, ties):
        shown = {video.key: video for identity in names for video in seen[identity]}
        counted = [video for video in shown.values() if video.label == REAL] or list(shown.values())
        for split, share in shares.items():
            left = [identity for identity in names if identity not in home]
            goal = share * len(counted) - 1e-9  # 0.1 * 30 is 3.0000000000000004
            home |= dict.fromkeys(_grown(left, ties, counted, goal=goal), split)
    return home


def _kinds(names: list[str], seen: dict[str, list[Video]], ties: dict[str, Counter[str]]) -> Iterable[list[str]]:
    kinds: dict[str, list[str]] = {"tied": [], "real": [], "fake": []}
    for identity in names:
        alone = "real" if any(video.label == REAL for video in seen[identity]) else "fake"
        kinds["tied" if ties[identity] else alone].append(identity)
    return kinds.values()


def _grown(left: list[str], ties: dict[str, Counter[str]], counted: list[Video], *, goal: float) -> set[str]:
    """Take identities until at least `goal` of the counted videos show no one else."""
    showing: dict[str, list[Video]] = defaultdict(list)
    for video in counted:
        for identity in video.identities:
            showing[identity].append(video)
    waiting, held, pull, inside = dict.fromkeys(left), set[str](), Counter[str](), 0
    while waiting and inside < goal:
        tied = [identity for identity in pull if identity in waiting]
        identity = max(tied, key=pull.__getitem__) if tied else next(iter(waiting))
        del waiting[identity]
        held.add(identity)
        pull.update(ties[identity])
        inside += sum(held.issuperset(video.identities) for video in showing[identity])
    return held


def order(videos: list[Video], *, rng: np.random.Generator) -> list[Video]:
    """Put videos in the order of drawing: rounds over the identities, in each round one random video of each.

    A fake belongs to the person filmed, its first identity.
    """
    of_identity: dict[str, list[Video]] = defaultdict(list)
    for video in sorted(videos, key=lambda video: video.key):
        of_identity[video.identities[0]].append(video)
    ranked = [
        (turn, place, video)
        for place, identity in enumerate(_shuffled(sorted(of_identity), rng))
        for turn, video in enumerate(_shuffled(of_identity[identity], rng))
    ]
    return [video for _, _, video in sorted(ranked, key=lambda entry: entry[:2])]


def generator(seed: int, name: str) -> np.random.Generator:
    """Make a generator of its own for each use, so that no draw shifts another."""
    return np.random.default_rng([seed, crc32(name.encode())])


def _shuffled(items: list[T], rng: np.random.Generator) -> list[T]:
    return [items[index] for index in rng.permutation(len(items))]


def _usable(videos: list[Video], attempts: list[Attempt], *, damaged: bool) -> set[str]:
    if {video.key for video in videos} != {attempt.key for attempt in attempts}:
        raise SubsetError(
            f"the manifest has {len(videos)} videos and the ledger {len(attempts)} rows, and not of the same videos: "
            "they are of different runs; `dvc repro subset` brings both up to date"
        )
    return {one.key for one in attempts if one.outcome in WITH_FACES and (damaged or one.outcome != "damaged")}


def _source(split: str, held: HeldOut) -> Pool:
    return held.take_from, REST if held.share is None else split


def _wanted(asked: Counts, there: dict[str, int], *, ratio: float | None) -> dict[str, int]:
    """Say how many videos to draw of each class; all that are there where no count is given."""
    reals = there["real"] if asked.real is None else asked.real
    fakes = there["fake"] if asked.fake is None else asked.fake
    # Table 1: 712 real at 30, 20 and 10 to one go with 23, 35 and 71 fakes, so it rounds down.
    return {"real": reals, "fake": fakes if ratio is None else math.floor(reals / ratio + 1e-9)}


def _shortages(
    split: str, wanted: dict[str, int], *, listed: dict[str, int], usable: dict[str, int], pool: int
) -> list[str]:
    if not any(listed.values()):
        if pool:
            return [f"{split} is left with none of {pool} videos: lower the shares (people in one fake go together)"]
        remedy = "" if split == "train" else f"; hold some out with subset.{split}: take_from: train, share: 0.2"
        return [f"{split} takes from a split of which no video is listed{remedy}"]
    lines = []
    for name, count in wanted.items():
        there = f"{usable[name]} usable of {listed[name]} listed"
        if count > usable[name]:
            lines.append(f"{split} needs {count} {name} and has {there}")
        elif count == 0:
            why = f"{wanted['real']} real at subset.ratio give none" if usable[name] else there
            lines.append(f"{split} would have no {name} ({why})")
    return lines


def _drawn(listed: list[Video], usable: set[str], wanted: dict[str, int], *, seed: int, name: str) -> list[Video]:
    drawn = []
    for label, word in NAMES.items():
        candidates = [video for video in listed if video.label == label]
        ordered = order(candidates, rng=generator(seed, f"{name}/{word}"))
        drawn += [video for video in ordered if video.key in usable][: wanted[word]]
    return drawn


def _overlaps(chosen: dict[str, list[Video]], *, refuse: bool) -> dict[str, int]:
    """Count videos and identities in two splits; raise SubsetError if so asked."""
    videos, people, told = set[str](), set[str](), []
    for first, second in combinations(SPLITS, 2):
        videos |= {video.key for video in chosen[first]} & {video.key for video in chosen[second]}
        shared = _people(chosen[first]) & _people(chosen[second])
        people |= shared
        if shared:
            names = ", ".join([*sorted(shared)[:3], *(["..."] if len(shared) > 3 else [])])
            told.append(f"{len(shared)} in {first} and {second} ({names})")
    if told and refuse:
        raise SubsetError(
            f"people are in two splits: {'; '.join(told)}. Where the data set is so, or validation must serve as "
            "test, accept it with subset.on_overlap: count; the metrics and the report will say so"
        )
    return {"overlap_videos": len(videos), "overlap_identities": len(people)}


def _people(videos: list[Video]) -> set[str]:
    return {identity for video in videos for identity in video.identities}


def _count(videos: list[Video]) -> dict[str, int]:
    count = Counter(video.label for video in videos)
    return {name: count[label] for label, name in NAMES.items()}
