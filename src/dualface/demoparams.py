"""data/demo/params.yaml: the demo set's own parameters, in the manner of `dualface.params`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dualface import yaml12
from dualface.schema import Count, Positive, Section, Share, parse, within


class DemoParams(Section):
    """The demo set, as `dualface.demo.DemoPlan` takes it."""

    seed: Count
    identities: Positive
    test_identities: Count
    videos_per_identity: Count
    fakes_per_video: Count
    youtube_real: Count
    frames: Positive
    width: Positive
    height: Positive
    crf: Annotated[int, within(0, 51)]
    strength: Annotated[list[Share], Field(min_length=2, max_length=2)]
    partial_share: Share


class DemoFile(Section):
    """data/demo/params.yaml."""

    demo: DemoParams


def load(path: Path) -> DemoParams:
    """Read and check the demo's own params.yaml. Raises ParamsError."""
    return parse(yaml12.read(path), DemoFile, where=str(path)).demo
