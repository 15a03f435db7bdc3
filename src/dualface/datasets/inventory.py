"""What a scan found, and how it compares with the full data set: one structure for all data sets.

A full set is described as groups. Where the names of a group's videos can be derived, from official splits or from the
set's own lists, missing and extra ones are named; elsewhere only counts are compared. A partial set is normal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dualface.datasets import disk
from dualface.errors import ListingError
from dualface.manifest import Video

FOLDED = 12  # more groups than this, and the complete ones share a row


class NoVideos(ListingError):
    """No video of the data set's layout is there."""


@dataclass(frozen=True)
class Group:
    """A part of the full set, and how much of it is there.

    Attributes:
        name: what the user sees.
        expected: number of videos that the full set has here.
        there: how many of those are there.
        extra: how many are there that the full set does not have.
        missing_names: those missing whose names are known, sorted; a part of them where only counts are known.
        extra_names: those extra whose names are known, sorted.
    """

    name: str
    expected: int
    there: int
    extra: int = 0
    missing_names: tuple[str, ...] = ()
    extra_names: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Number of videos that the full set has and that are not there."""
        return self.expected - self.there

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing and nothing is extra."""
        return not self.missing and not self.extra


@dataclass(frozen=True)
class Inventory:
    """What a scan found.

    Attributes:
        root: the folder that the videos' paths are relative to.
        videos: the rows of the listing.
        notes: what a user should know about them, a sentence each.
        title: what the groups make up in all; empty where nobody can say what the full set holds.
        groups: what the full set holds, beside what is there.
        unlisted: video files under the root that are none of the set's, sorted.
    """

    root: Path
    videos: list[Video]
    notes: tuple[str, ...] = ()
    title: str = ""
    groups: tuple[Group, ...] = ()
    unlisted: tuple[str, ...] = ()


def by_name(name: str, *, expected: Iterable[str], there: Iterable[str]) -> Group:
    """Compare names: those that the full set has, and those that are there."""
    wanted, found = set(expected), set(there)
    extra = sorted(found - wanted)
    return Group(
        name, len(wanted), len(wanted & found), len(extra), tuple(sorted(wanted - found)), extra_names=tuple(extra)
    )


def by_count(name: str, *, expected: int, there: Iterable[str], known: Iterable[str] = ()) -> Group:
    """Compare counts.

    Args:
        name: of the group.
        expected: number of videos in the full set.
        there: names of those that are there.
        known: some names that the full set has; those of them that are not there can be named.
    """
    found = set(there)
    short = len(found) < expected
    missing = sorted(set(known) - found) if short else []
    return Group(name, expected, min(len(found), expected), max(len(found) - expected, 0), tuple(missing))


def lines(inventory: Inventory) -> list[str]:
    """Print the groups as a table, and how much of the full set there is as a sentence."""
    if not inventory.groups:
        return []
    groups = _folded(inventory.groups)
    total = Group("all", *(sum(getattr(group, name) for group in groups) for name in ("expected", "there", "extra")))
    rows = [*groups, *([total] if len(groups) > 1 else [])]
    width = max(len("group"), *(len(row.name) for row in rows))
    head = f"{'group':{width}}{'expected':>10}{'there':>9}{'missing':>9}{'extra':>7}"
    named = any(row.missing_names for row in rows)
    table = [head + ("  first missing" if named else "")]
    for row in rows:
        counts = f"{row.expected:10,}{row.there:9,}{row.missing:9,}{row.extra:7,}"
        table.append(f"{row.name:{width}}{counts}  {disk.few(row.missing_names)}".rstrip())
    extra = [f"extra in {row.name}: {disk.few(row.extra_names)}" for row in groups if row.extra_names]
    return [*table, *extra, "", how_much(inventory.title, total)]


def how_much(title: str, total: Group) -> str:
    """Say in a sentence how much of the full set is there."""
    more = f", and {total.extra:,} that it does not have" if total.extra else ""
    if not total.missing:
        return f"all {total.expected:,} videos of {title}{more}: the whole set"
    return f"{total.there:,} of {total.expected:,} videos of {title}{more}: a part of the set, which is fine"


def _folded(groups: tuple[Group, ...]) -> list[Group]:
    complete = [group for group in groups if group.is_complete]
    if len(groups) <= FOLDED or len(complete) < 2:
        return list(groups)
    number = sum(group.expected for group in complete)
    return [*(group for group in groups if not group.is_complete), Group(f"{len(complete)} complete", number, number)]
