import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from dualface.errors import DualfaceError
from dualface.metrics import bootstrap, decision, ranking, roc_auc, youden_threshold
from dualface.metrics.ranking import Ranked
from dualface.metrics.summary import Sample, summarise

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 0.9, 1.0]) | st.floats(0, 1, width=32)


@st.composite
def weighted(draw):
    """Scores of both classes, many of them tied, with a weight each; each class keeps some weight."""
    label = np.array([0, 1, *draw(st.lists(st.integers(0, 1), max_size=40))])
    score = np.array(draw(st.lists(SCORES, min_size=len(label), max_size=len(label))), dtype=np.float32)
    weight = np.array([1, 2, *draw(st.lists(st.integers(0, 3), min_size=len(label) - 2, max_size=len(label) - 2))])
    return score, label, weight


def curve_of(score, label, weight=None):
    return Ranked(score, label, np.arange(len(score))).curve(weight)


@given(weighted())
def test_area_and_average_precision_are_those_of_scikit_learn_with_ties_and_weights(drawn):
    score, label, weight = drawn
    curve = curve_of(score, label, weight)
    assert ranking.auc(curve) == pytest.approx(reference.roc_auc_score(label, score, sample_weight=weight))
    want = reference.average_precision_score(label, score, sample_weight=weight)
    assert ranking.average_precision(curve) == pytest.approx(want)


@given(weighted())
def test_equal_error_rate_lies_where_the_joined_roc_points_cross(drawn):
    score, label, weight = drawn
    fpr, tpr, _ = reference.roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    along = np.linspace(0, len(fpr) - 1, 1 + 4000 * (len(fpr) - 1))  # walk the polyline in small steps
    x, y = (np.interp(along, np.arange(len(fpr)), rate) for rate in (fpr, tpr))
    found = ranking.equal_error_rate(curve_of(score, label, weight))
    assert found == pytest.approx(x[np.argmin(np.abs(x + y - 1))], abs=1e-3)


@given(weighted(), st.sampled_from([0.0, 0.001, 0.01, 0.2, 0.5, 1.0]))
def test_recall_at_few_false_alarms_is_the_best_that_any_threshold_allows(drawn, limit):
    score, label, weight = drawn
    best = 0.0
    for threshold in [*score, 2.0]:
        called = score >= threshold
        if np.average(called[label == 0], weights=weight[label == 0]) <= limit:
            best = max(best, float(np.average(called[label == 1], weights=weight[label == 1])))
    assert ranking.tpr_at_fpr(curve_of(score, label, weight), limit) == pytest.approx(best)


def test_an_allowed_share_that_is_a_whole_number_of_reals_is_not_lost_to_rounding():
    for reals in range(100, 3000, 100):
        score = np.concatenate([np.linspace(0.5, 1, reals), [np.linspace(0.5, 1, reals)[-(reals // 100)]]])
        label = np.append(np.zeros(reals, dtype=int), 1)
        assert ranking.tpr_at_fpr(curve_of(score, label), 0.01) == 1.0


@given(weighted(), st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]))
def test_decisions_are_those_of_scikit_learn_for_either_positive_class(drawn, threshold):
    score, label, _ = drawn
    ranked = Ranked(score, label, np.arange(len(score)))
    called = score.astype(np.float64) >= threshold
    values = decision.decisions(ranked.curve(), ranked.position(threshold))
    assert tuple(values) == decision.DECISION_NAMES
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(label, called))
    assert values["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(label, called))
    for name, positive in (("fake", 1), ("real", 0)):
        want = reference.precision_recall_fscore_support(
            label, called, pos_label=positive, average="binary", zero_division=0
        )
        have = [values[f"{kind}_{name}"] for kind in ("precision", "recall", "f1")]
        assert have == pytest.approx(want[:3])
    table = decision.confusion(ranked.curve(), ranked.position(threshold))
    assert [
        [table["real_called_real"], table["real_called_fake"]],
        [table["fake_called_real"], table["fake_called_fake"]],
    ] == (reference.confusion_matrix(label, called, labels=[0, 1]).tolist())


@given(weighted())
def test_a_weight_is_a_repetition(drawn):
    score, label, weight = drawn
    repeated = curve_of(np.repeat(score, weight), np.repeat(label, weight))
    drawn_curve = curve_of(score, label, weight)
    for measure in (ranking.auc, ranking.average_precision, ranking.equal_error_rate):
        assert measure(drawn_curve) == pytest.approx(measure(repeated))


@given(weighted())
def test_the_chosen_threshold_has_the_highest_balanced_accuracy_that_any_has(drawn):
    score, label, _ = drawn
    ranked = Ranked(score, label, np.arange(len(score)))
    chosen = youden_threshold(score, label)
    assert 0 <= chosen <= 1

    def balanced(threshold):
        return reference.balanced_accuracy_score(label, score.astype(np.float64) >= threshold)

    values = decision.decisions(ranked.curve(), ranked.position(chosen))
    assert values["balanced_accuracy"] == pytest.approx(balanced(chosen))
    assert balanced(chosen) == pytest.approx(max(balanced(t) for t in [*score.astype(np.float64), 0.0, 1.0]))


def test_the_threshold_stands_midway_in_the_widest_gap():
    label = np.array([0, 0, 1, 1])
    assert youden_threshold(np.array([0.1, 0.2, 0.6, 0.9]), label) == pytest.approx(0.4)
    # 1 real is lost for 1 fake at either of the two gaps: the wider one wins, wherever it stands
    assert youden_threshold(np.array([0.1, 0.5, 0.4, 0.9]), label) == pytest.approx(0.7)
    assert youden_threshold(np.array([0.1, 0.6, 0.5, 0.9]), label) == pytest.approx(0.3)


def test_constant_scores_have_a_threshold_and_no_skill():
    score, label = np.full(6, 0.25), np.array([0, 1] * 3)
    assert 0 < youden_threshold(score, label) < 1
    assert roc_auc(score, label) == 0.5
    assert ranking.equal_error_rate(curve_of(score, label)) == 0.5


@pytest.mark.parametrize(
    ("score", "label", "words"),
    [
        ([0.1, 0.2], [0, 0], "2 real and 0 fake"),
        ([0.1, 0.2], [1, 1], "0 real and 2 fake"),
        ([], [], "0 real and 0 fake"),
        ([0.1, np.nan], [0, 1], "not a probability"),
        ([0.1, 1.5], [0, 1], "not a probability"),
        ([0.1, 0.5], [0, 2], "neither 0"),
        ([0.1], [0, 1], "differ"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_numbers(score, label, words):
    with pytest.raises(DualfaceError, match=words):
        roc_auc(np.array(score), np.array(label))


def frames_of(rng, *, fakes=5, reals=30, frames=20, shift=1.0):
    """Frames of videos, those of one video alike."""
    video_label = (np.arange(fakes + reals) < fakes).astype(int)
    group = np.repeat(np.arange(fakes + reals), frames)
    level = rng.normal(shift * video_label, 1)[group] + rng.normal(0, 0.5, len(group))
    return Sample(1 / (1 + np.exp(-level)), video_label[group], group, video_label)


def test_replicates_keep_the_classes_in_their_numbers_and_the_frames_of_a_video_together():
    sample = frames_of(np.random.default_rng(0))
    seen = []

    def measure(curve):
        seen.append((curve.fakes, curve.reals))
        steps = np.diff(curve.tp)
        assert sum(steps) == curve.fakes
        return [ranking.auc(curve)]

    ranked = Ranked(sample.score, sample.label, sample.group)
    drawn = bootstrap.replicates(ranked, sample.video_label, measure, resamples=200, rng=np.random.default_rng(1))
    assert set(seen) == {(5 * 20, 30 * 20)}
    assert drawn.shape == (200, 1)


def test_a_replicate_is_the_measure_of_the_videos_that_were_drawn():
    sample = frames_of(np.random.default_rng(0), fakes=3, reals=4, frames=5)
    weight = np.array([2, 0, 1, 0, 3, 1, 0])
    rows = np.concatenate([np.flatnonzero(sample.group == video) for video in np.repeat(np.arange(7), weight)])
    curve = Ranked(sample.score, sample.label, sample.group).curve(weight)
    assert ranking.auc(curve) == pytest.approx(reference.roc_auc_score(sample.label[rows], sample.score[rows]))


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    sample = frames_of(np.random.default_rng(0))
    one, same, other = (
        summarise(sample, threshold=0.5, resamples=300, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert one.intervals == same.intervals
    assert one.values == same.values == other.values
    assert one.intervals != other.intervals


def test_an_interval_encloses_its_figure_and_widens_with_fewer_videos():
    many = summarise(
        frames_of(np.random.default_rng(0), fakes=60, reals=60),
        threshold=0.5,
        resamples=300,
        rng=np.random.default_rng(0),
    )
    few = summarise(
        frames_of(np.random.default_rng(0), fakes=6, reals=60),
        threshold=0.5,
        resamples=300,
        rng=np.random.default_rng(0),
    )
    for one in (many, few):
        assert one.intervals["auc"]["low"] < one.values["auc"] < one.intervals["auc"]["high"]
    widths = [one.intervals["auc"]["high"] - one.intervals["auc"]["low"] for one in (many, few)]
    assert widths[0] < widths[1]


def test_frames_of_one_video_are_not_taken_for_independent_ones():
    """Repeating each frame ten times brings no news, so it must not narrow the interval."""
    sample = frames_of(np.random.default_rng(0), frames=5)
    again = Sample(
        np.repeat(sample.score, 10), np.repeat(sample.label, 10), np.repeat(sample.group, 10), sample.video_label
    )
    one, other = (summarise(s, threshold=0.5, resamples=200, rng=np.random.default_rng(0)) for s in (sample, again))
    assert one.intervals["auc"] == pytest.approx(other.intervals["auc"])


def test_intervals_hold_the_true_value_about_as_often_as_they_say():
    rng, held, trials = np.random.default_rng(0), 0, 120
    truth = 0.7602499  # Phi(1 / sqrt(2)): the AUC of two normals of unit spread, one apart
    label = np.repeat([0, 1], 40)
    for _ in range(trials):
        score = 1 / (1 + np.exp(-rng.normal(label, 1)))
        sample = Sample(score, label, np.arange(80), label)
        auc = summarise(sample, threshold=0.5, resamples=200, rng=rng).intervals["auc"]
        held += auc["low"] <= truth <= auc["high"]
    assert 0.88 <= held / trials <= 1.0


def test_replicates_that_lack_a_class_are_left_out_and_counted():
    """Two fake videos, one without a single fake frame: every fourth replicate draws it twice."""
    video_label = np.array([1, 1, 0, 0, 0])
    group = np.repeat(np.arange(5), 4)
    label = np.array([1, 1, 0, 0] + [0] * 16)
    sample = Sample(np.linspace(0.9, 0.1, 20), label, group, video_label)
    summary = summarise(sample, threshold=0.5, resamples=400, rng=np.random.default_rng(0))
    assert 250 < summary.replicates < 350
    assert summary.intervals["auc"]["low"] == 1.0


@settings(max_examples=25)
@given(weighted())
def test_every_figure_lies_between_0_and_1(drawn):
    score, label, _ = drawn
    sample = Sample(score, label, np.arange(len(score)), label)
    summary = summarise(sample, threshold=0.5, resamples=5, rng=np.random.default_rng(0))
    names = [name for name in summary.values if not name.startswith("at_")]
    assert all(0 <= summary.values[name] <= 1 for name in names)
    for name in names:
        assert 0 <= summary.intervals[name]["low"] <= summary.intervals[name]["high"] <= 1
