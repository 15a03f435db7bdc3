"""The parts of the report that are computed: points of curves, words, examples, coverage."""

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread

from conftest import write_tracks
from dualface.errors import DualfaceError
from dualface.ledger import Attempt
from dualface.manifest import Video
from dualface.metrics.ranking import Ranked
from dualface.report import content, examples, points, words
from dualface.scores import VideoScores
from dualface.shards.read import Shards
from dualface.shards.sample import FaceTrack
from dualface.split import Choice


def video(key, label, score, frames=0, frame_label=None):
    return VideoScores(
        key,
        label,
        score,
        np.arange(frames, dtype=np.int32),
        np.full(frames, label, dtype=np.uint8) if frame_label is None else np.array(frame_label, dtype=np.uint8),
        np.linspace(0, 1, frames, dtype=np.float32),
    )


def curve_of(count, fakes):
    rng = np.random.default_rng(0)
    label = (np.arange(count) < fakes).astype(int)
    return Ranked(np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1), label, np.arange(count)).curve()


@pytest.mark.parametrize(("count", "fakes"), [(2, 1), (60, 5), (20_000, 400), (20_000, 15_000)])
def test_thinned_curves_are_short_rise_and_keep_their_ends(count, fakes):
    curve = curve_of(count, fakes)
    fpr, tpr = points.roc(curve)
    recall, precision = points.precision_recall(curve)
    assert len(fpr) == len(tpr) <= 500
    assert len(recall) == len(precision) <= 500
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1], recall[-1]) == (0, 0, 1, 1, 1)
    assert np.all(np.diff(fpr) >= 0)
    assert np.all(np.diff(tpr) >= 0)
    assert np.all(np.diff(recall) >= 0)
    assert precision[-1] == fakes / count
    assert np.all((precision > 0) & (precision <= 1))


def test_a_thinned_roc_curve_encloses_nearly_the_whole_area():
    curve = curve_of(20_000, 400)
    whole = np.trapezoid(curve.tp / curve.fakes, curve.fp / curve.reals)
    fpr, tpr = points.roc(curve)
    assert np.trapezoid(tpr, fpr) == pytest.approx(whole, abs=2e-3)


def test_the_end_of_few_false_alarms_is_not_thinned_away():
    fpr, _ = points.roc(curve_of(20_000, 400))
    assert np.sum(fpr <= 0.01) > 50


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"), [(5, 5, 0.566, 1.0), (0, 178, 0.0, 0.021), (9, 12, 0.468, 0.911)]
)
def test_wilson_intervals_are_those_of_the_literature_and_have_width_at_the_ends(part, whole, low, high):
    assert words.wilson(part, whole) == pytest.approx((low, high), abs=1e-3)


def figures(*, fakes, reals, found, alarms, width=0.1):
    confusion = {"fake_called_fake": found, "real_called_fake": alarms}
    return {
        "video": {"at_threshold": {"confusion": confusion}},
        "interval95": {"video": {"auc": {"low": 0.9 - width, "high": 0.9}}},
        "counts": {"video": {"fake": fakes, "real": reals}, "identities": fakes + reals - 1, "seen_in_validation": 0},
        "coverage": {"set": {"fake": {"listed": fakes, "with_faces": fakes, "in_split": fakes, "scored": fakes}}},
    }


def test_what_makes_the_evidence_weaker_is_told_first():
    known = figures(fakes=5, reals=178, found=4, alarms=1)
    known["counts"] |= {"identities": 9, "seen_in_validation": 3}
    first, second = words.caveats(known)[:2]
    assert "3 videos scored here also served as validation" in first
    assert "183 videos show 9 people" in second


def test_provenance_counts_people_and_videos_seen_before():
    listed = [Video(key, "a", f"{key}.mp4", 1, 0, ("one", key)) for key in "pq"]
    choices = [Choice("p", "val", 0), Choice("p", "test", 0), Choice("q", "test", 0)]
    assert content.provenance({"p": 0, "q": 0}, choices, listed) == {"identities": 3, "seen_in_validation": 1}


def test_few_fakes_are_told_in_words():
    told = words.caveats(figures(fakes=5, reals=178, found=4, alarms=1))
    assert len(told) == 3
    assert "5 fake videos, of which 4 are found" in told[1]
    assert "one video moves the recall by 20 points" in told[1]
    assert "below 1/178 = 0.562\xa0%" in told[2]
    assert "≤ 0.1\xa0% is the TPR without any false alarm" in told[2]


def test_enough_reals_resolve_every_rate():
    told = words.caveats(figures(fakes=1, reals=1200, found=1, alarms=0))
    assert "1 fake video, of which 1 is found" in told[1]
    assert "resolved" not in told[2]


def test_people_who_are_not_known_are_told_of():
    known = figures(fakes=5, reals=178, found=4, alarms=1)
    known["counts"]["identities"] = 183
    assert "No person is known to be in two of these videos" in words.caveats(known)[0]


def test_each_class_shows_its_worst_mistakes_then_its_surest():
    fakes = [video(f"f{number}", 1, score) for number, score in enumerate([0.1, 0.2, 0.3, 0.6, 0.7, 0.9])]
    reals = [video(f"r{number}", 0, score) for number, score in enumerate([0.05, 0.1, 0.45, 0.4])]
    picks = examples.choose([*fakes, *reals], 0.5)
    assert [(pick.video.key, pick.kind) for pick in picks] == [
        ("f0", "fake, missed"),
        ("f1", "fake, missed"),
        ("f5", "fake, found, surest"),
        ("f4", "fake, found, surest"),
        ("r2", "real, passed, closest"),
        ("r3", "real, passed, closest"),
        ("r0", "real, passed, surest"),
        ("r1", "real, passed, surest"),
    ]


def test_no_video_is_shown_twice_where_there_are_few():
    picks = examples.choose([video("f", 1, 0.9), video("r", 0, 0.1), video("s", 0, 0.6)], 0.5)
    assert [pick.video.key for pick in picks] == ["f", "s", "r"]


def test_equal_scores_are_shown_in_the_order_of_their_keys():
    videos = [video(key, 0, 0.2) for key in "dcba"] + [video("f", 1, 0.9)]
    assert [pick.video.key for pick in examples.choose(videos, 0.5) if not pick.video.label] == list("abdc")


@pytest.fixture
def shards(tmp_path):
    def make(side, index):
        count = len(index)
        faces = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None] * 10, (count, side, side, 3))
        track = FaceTrack(
            "k",
            faces.copy(),
            np.array(index, dtype=np.int32),
            np.zeros((count, 4), np.int32),
            np.zeros(count, np.uint8),
            {},
        )
        write_tracks(tmp_path, [track], shard_bytes=1)
        return Shards(tmp_path)

    return make


def test_a_strip_holds_the_faces_of_the_frames_that_it_names(shards):
    shown = examples.show(examples.Pick(video("k", 0, 0.1, frames=19), ""), shards(32, range(19)))
    image = imread(io.BytesIO(base64.b64decode(shown.strip)), format="jpeg")
    frames = [frame for frame, _, _ in shown.shown]
    assert frames == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert image.shape == (32, 320, 3)
    centres = image[16, 16::32, 0].astype(int)
    assert np.all(np.abs(centres - 10 * np.array(frames)) <= 2)


def test_large_faces_are_shrunk_and_short_videos_give_short_strips(shards):
    shown = examples.show(examples.Pick(video("k", 0, 0.1, frames=3), ""), shards(250, range(3)))
    assert shown.side == 83
    assert len(shown.shown) == 3


def test_only_frames_that_have_both_a_face_and_a_score_are_shown(shards):
    shown = examples.show(examples.Pick(video("k", 0, 0.1, frames=6), ""), shards(16, [1, 3, 7]))
    assert [frame for frame, _, _ in shown.shown] == [1, 3]


def test_a_video_whose_frames_are_not_judged_shows_its_faces_and_no_timeline(shards):
    held = shards(16, [1, 4])
    shown = examples.show(examples.Pick(video("k", 0, 0.1), ""), held)
    gone = examples.show(examples.Pick(video("gone", 0, 0.1), ""), held)
    assert (gone.faces, gone.strip) == (0, "")
    assert (shown.faces, shown.shown, shown.line, shown.shaded) == (2, [], "", [])
    assert (shown.first, shown.last) == (1, 4)
    assert imread(io.BytesIO(base64.b64decode(shown.strip)), format="jpeg").shape == (16, 32, 3)


def test_runs_of_fake_frames_are_shaded_half_way_to_their_neighbours(shards):
    one = video("other", 1, 0.9, frames=11, frame_label=[1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1])
    shown = examples.show(examples.Pick(one, ""), shards(16, [1]))
    assert np.array(shown.shaded) == pytest.approx(np.array([(0, 5), (25, 20), (95, 5)]))
    assert shown.strip == ""


def test_a_long_timeline_is_thinned_without_losing_its_peak(shards):
    one = video("other", 0, 0.9, frames=100_000)
    one.frame_score[:] = 0.25
    one.frame_score[70_001] = 1
    line = examples.show(examples.Pick(one, ""), shards(16, [1])).line
    assert len(line.split()) <= 600
    assert "70.00,0.0" in line.split()


def test_coverage_counts_losses_and_choices_by_data_set_and_class():
    listed = [Video(key, "a.b", f"{key}.mp4", 1, 0, (key,), split="test") for key in "pqrs"]
    listed += [Video("t", "a.b", "t.mp4", 1, 0, ("t",), split="train"), Video("u", "c", "u.mp4", 1, 1, ("u",))]
    attempts = [Attempt(key, "ok", "", 9, 9) for key in "prtu"] + [Attempt("q", "no_face", "dark", 9, 0)]
    attempts += [Attempt("s", "damaged", "cut off", 9, 9)]
    counted = content.coverage(listed, attempts, chosen={"p": 0, "r": 0, "u": 1}, scored={"p", "u"}, official="test")
    assert counted["a_b"]["real"] == {"listed": 4, "with_faces": 3, "in_split": 2, "scored": 1}
    assert counted["c"]["fake"] == {"listed": 1, "with_faces": 1, "in_split": 1, "scored": 1}
    assert counted["c"]["real"]["listed"] == 0


def test_a_split_of_other_videos_than_the_manifest_is_refused():
    with pytest.raises(DualfaceError, match="video 'x' is in the split, not in the manifest"):
        content.coverage([], [], chosen={"x": 1}, scored=set(), official="test")
