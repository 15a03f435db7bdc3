"""The demo set: its layout, its determinism, the truth of its labels, and faces that a detector finds."""

import dataclasses
import json
import re

import av
import cv2
import numpy as np
import pytest

from dualface.demo import DemoPlan, clip_frames, fake_ranges, render
from dualface.errors import DualfaceError

PLAN = DemoPlan(
    seed=7,
    identities=6,
    test_identities=3,
    videos_per_identity=1,
    fakes_per_video=2,
    youtube_real=3,
    frames=6,
    width=320,
    height=240,
    crf=23,
    strength=(0.35, 1.0),
    partial_share=0.5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo")
    calls = []
    render(path, PLAN, workers=2, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (21, 21)
    return path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_clip_has_its_fakes_with_donors_of_its_own_side(folder):
    videos = {name for name in contents(folder) if name.endswith(".mp4")}
    fakes = {name for name in videos if name.startswith("Celeb-synthesis")}
    pairs = [
        tuple(map(int, re.fullmatch(r"Celeb-synthesis/id(\d+)_id(\d+)_0000.mp4", name).groups())) for name in fakes
    ]
    assert sorted(target for target, _ in pairs) == sorted([*range(6)] * 2)
    assert all(target != donor and (target < 3) == (donor < 3) for target, donor in pairs)
    reals = {f"Celeb-real/id{person}_0000.mp4" for person in range(6)}
    assert videos - fakes == reals | {f"YouTube-real/{number:05d}.mp4" for number in range(3)}


def test_listing_calls_fakes_0_and_has_the_test_identities_only(folder):
    rows = [line.split(" ") for line in (folder / "List_of_testing_videos.txt").read_text().splitlines()]
    assert {path for _, path in rows} == {
        name
        for name in contents(folder)
        if re.match(r"Celeb-\w+/id[345]_", name) or name in ("YouTube-real/00001.mp4", "YouTube-real/00002.mp4")
    }
    assert all((polarity == "0") == path.startswith("Celeb-synthesis/") for polarity, path in rows)


def test_videos_are_h264_of_the_size_and_length_that_was_asked_for(folder):
    for name in (
        "Celeb-real/id0_0000.mp4",
        "YouTube-real/00000.mp4",
        *sorted(json.loads((folder / "labels.json").read_text())),
    ):
        with av.open(str(folder / name)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, len(list(container.decode(stream)))) == (320, 240, 6)


def test_same_plan_same_bytes_whatever_the_workers(folder, tmp_path):
    render(tmp_path, PLAN, workers=1)
    assert contents(tmp_path) == contents(folder)


def test_another_seed_is_another_set(folder, tmp_path):
    plan = dataclasses.replace(PLAN, seed=8, identities=0, test_identities=0, fakes_per_video=0, youtube_real=1)
    render(tmp_path, plan, workers=1)
    name = "YouTube-real/00000.mp4"
    assert (tmp_path / name).read_bytes() != (folder / name).read_bytes()
    assert json.loads((tmp_path / "labels.json").read_text()) == {}


def test_labels_of_the_files_are_those_of_the_frames(folder):
    labels = json.loads((folder / "labels.json").read_text())
    assert set(labels) == {name for name in contents(folder) if name.startswith("Celeb-synthesis")}
    for name, ranges in labels.items():
        target, donor = map(int, re.findall(r"id(\d+)", name))
        assert ranges == fake_ranges(PLAN, target, 0, donor)


def test_frames_differ_from_the_real_ones_inside_the_ranges_only():
    plan = dataclasses.replace(PLAN, partial_share=1.0)
    ranges = fake_ranges(plan, 0, 0, 1)
    for index, (real, fake) in enumerate(clip_frames(plan, 0, 0, [1])):
        difference = np.abs(real.astype(float) - fake)
        if any(start <= index < end for start, end in ranges):
            assert difference.max() > 10
            assert np.mean(difference > 3) < 0.4  # the rest of the picture is the real one
        else:
            assert difference.max() == 0


@pytest.mark.parametrize("frames", [2, 3, 7, 60])
def test_partial_fakes_are_fake_in_20_to_70_percent_of_their_frames(frames):
    plan = dataclasses.replace(PLAN, frames=frames, partial_share=1.0)
    parts = set()
    for clip in range(200):
        ranges = fake_ranges(plan, 0, clip, 1)
        flags = [index for start, end in ranges for index in range(start, end)]
        assert sorted(set(flags)) == flags
        assert set(flags) <= set(range(frames))
        assert 0.2 <= len(flags) / frames <= 0.7
        parts.add(len(ranges))
    assert parts == ({1, 2} if frames > 3 else parts)


def test_share_of_partial_fakes_is_kept():
    partial = [fake_ranges(PLAN, 0, clip, 1) != [[0, PLAN.frames]] for clip in range(400)]
    assert 0.4 < np.mean(partial) < 0.6
    whole = dataclasses.replace(PLAN, partial_share=0.0)
    assert all(fake_ranges(whole, 0, clip, 1) == [[0, PLAN.frames]] for clip in range(50))


def test_a_detector_finds_one_face_in_most_frames(folder):
    dlib = pytest.importorskip("dlib")
    detector = dlib.get_frontal_face_detector()
    found = []
    for path in sorted(folder.rglob("*.mp4")):
        with av.open(str(path)) as container:
            images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        found += [len(detector(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 0)) == 1 for image in images[::3]]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_identities": 1}, "fakes_per_video is 2"),
        ({"test_identities": 4}, "fakes_per_video is 2"),
        ({"test_identities": 7}, "test_identities is 7"),
        ({"fakes_per_video": 3}, "fakes_per_video is 3"),
        ({"fakes_per_video": -1}, "fakes_per_video is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"frames": 1}, "frames is 1"),
        ({"width": 321}, "width is 321"),
        ({"height": 100}, "height is 100"),
        ({"crf": 52}, "crf is 52"),
        ({"strength": (0.5, 0.2)}, "strength is"),
        ({"partial_share": 1.5}, "partial_share is 1.5"),
    ],
)
def test_a_plan_that_cant_be_made_is_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(DualfaceError, match=re.escape(message)) as caught:
        render(tmp_path / "set", dataclasses.replace(PLAN, **change), workers=1)
    assert "allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()
