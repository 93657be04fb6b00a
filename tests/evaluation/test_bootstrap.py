"""Bootstrap intervals against resampled rows and against known truths."""

import numpy as np
import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.bootstrap import bootstrap, paired_bootstrap, paired_bootstrap_of_runs
from pnn_gluon.evaluation.metrics import Auc, LogLoss, NormalizedEntropy

STATES = {"auc": Auc, "log_loss": LogLoss, "normalized_entropy": NormalizedEntropy}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def two_models(rows, seed, noise=(0.3, 0.6)):
    """Labels and the probabilities of two models: the truth with a little and with more noise."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.5, 1.2, rows)
    label = (rng.random(rows) < sigmoid(logit)).astype(np.int8)
    first, second = (sigmoid(logit + rng.normal(0, scale, rows)).round(3) for scale in noise)
    return label, first, second


@pytest.mark.parametrize("metric", STATES)
def test_difference_is_that_of_the_metrics_and_within_its_interval(metric):
    label, first, second = two_models(300, seed=1)
    found = paired_bootstrap(label, first, second, metric, repeats=40, seed=5, level=0.9)
    one, two = (STATES[metric]().update(label, scores).value() for scores in (first, second))
    assert found.difference == pytest.approx(one - two, abs=1e-12)
    assert found.low < found.difference < found.high
    assert found.high - found.difference == pytest.approx(found.difference - found.low)


@pytest.mark.parametrize("metric", STATES)
def test_single_interval_holds_the_metric(metric):
    label, first, _ = two_models(2000, seed=2)
    found = bootstrap(label, first, metric, repeats=100, seed=3)
    assert found.value == pytest.approx(STATES[metric]().update(label, first).value(), abs=1e-12)
    assert found.low < found.value < found.high


def test_equal_seed_gives_the_equal_interval_and_another_seed_another():
    arrays = two_models(500, seed=3)
    first = paired_bootstrap(*arrays, "auc", 50, seed=1)
    assert paired_bootstrap(*arrays, "auc", 50, seed=1) == first
    assert paired_bootstrap(*arrays, "auc", 50, seed=2) != first


def test_a_model_against_itself_differs_by_nothing():
    label, first, _ = two_models(500, seed=4)
    found = paired_bootstrap(label, first, first, "normalized_entropy", 50, seed=1)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_pairing_narrows_the_interval():
    label, first, second = two_models(3000, seed=5, noise=(0.1, 0.15))
    paired = paired_bootstrap(label, first, second, "log_loss", 200, seed=1)
    single = bootstrap(label, first, "log_loss", 200, seed=1)
    assert paired.high - paired.low < 0.3 * (single.high - single.low)


def test_interval_covers_the_true_difference_about_as_often_as_it_says():
    label, *models = two_models(400_000, seed=0)
    first, second = (Auc().update(label, scores).value() for scores in models)
    truth = first - second
    covered = 0
    for trial in range(100):
        found = paired_bootstrap(*two_models(400, seed=1000 + trial), "auc", 100, seed=trial, level=0.9)
        covered += found.low <= truth <= found.high
    assert 80 <= covered <= 98


def test_few_positives_leave_out_the_repeats_without_any():
    label = np.zeros(200)
    label[:3] = 1  # about one repeat in twenty draws none of the three
    scores = np.linspace(0.2, 0.1, 200)
    found = bootstrap(label, scores, "auc", 200, seed=1)
    assert np.isfinite([found.low, found.high]).all()


@pytest.mark.parametrize("metric", ["auc", "normalized_entropy"])
def test_one_class_is_refused(metric):
    with pytest.raises(InputError, match=f"bootstrap of {metric}: undefined on 50 rows with 0 positives"):
        bootstrap(np.zeros(50), np.full(50, 0.1), metric, 10, seed=1)


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="undefined on 0 rows"):
        bootstrap([], [], "log_loss", 10, seed=1)


def test_infinite_log_loss_is_refused_with_its_count():
    with pytest.raises(InputError, match="1 of 3 probabilities are exactly 0 or 1 against the label"):
        bootstrap([0, 1, 1], [0.1, 0.0, 1.0], "log_loss", 10, seed=1)


@pytest.mark.parametrize("metric", ["log_loss", "normalized_entropy"])
def test_losses_of_logits_are_those_of_their_probabilities_and_finite(metric):
    label, first, second = two_models(300, seed=6)
    one, two = np.log(first / (1 - first)), np.log(second / (1 - second))
    by_logit = paired_bootstrap(label, one, two, metric, 20, seed=1, logits=True)
    by_probability = paired_bootstrap(label, first, second, metric, 20, seed=1)
    assert by_logit.low == pytest.approx(by_probability.low, rel=1e-10)
    one[np.flatnonzero(label == 0)[0]] = 40.0  # whose probability is exactly 1
    assert np.isfinite(paired_bootstrap(label, one, two, metric, 20, seed=1, logits=True).high)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "accuracy"}, "received 'accuracy'"),
        ({"repeats": 1}, "expected repeats >= 2, received 1"),
        ({"level": 1.0}, "0 < level < 1, received 'auc', 1.0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        bootstrap([0, 1], [0.1, 0.2], **{"metric": "auc", "repeats": 10, "seed": 1, **options})


def test_a_metric_that_most_repeats_leave_undefined_is_refused():
    """Of two rows, one of each class, two draws in five hold both."""
    with pytest.raises(InputError, match="undefined on 2 rows with 1 positives, on half of 200 repeats"):
        bootstrap([0, 1], [0.1, 0.9], "auc", 200, seed=1)


def test_clusters_are_drawn_as_one_and_one_alone_is_refused():
    label, first, second = two_models(600, seed=8)
    clusters = np.repeat(np.arange(60, dtype=np.uint64), 10)
    rows = [paired_bootstrap(label, first, second, "log_loss", 50, 1, clusters=c) for c in (None, clusters)]
    assert rows[0].difference == pytest.approx(rows[1].difference, rel=1e-10)
    assert rows[0].low != rows[1].low
    with pytest.raises(InputError, match="for want of a second cluster"):
        paired_bootstrap(label, first, second, "log_loss", 50, 1, clusters=np.zeros(600, np.uint64))


def test_scores_of_any_scale_have_an_auc_and_the_same_interval_as_their_ranks():
    label, first, _ = two_models(500, seed=9)
    for scores in (1e9 * first, np.where(first == first.max(), np.inf, first), np.log(first)):
        assert bootstrap(label, scores, "auc", 30, 1) == bootstrap(label, first, "auc", 30, 1)


def test_certain_and_right_probabilities_cost_nothing():
    found = bootstrap([0, 1, 0, 1, 0, 1], [0.0, 1.0, 0.2, 0.8, 0.3, 0.7], "log_loss", 50, seed=1)
    assert found.value == pytest.approx(-2 * np.log(0.8 * 0.7) / 6, rel=1e-12)


def test_models_need_the_same_number_of_runs():
    with pytest.raises(InputError, match="as many runs of both models, received 2 and 1"):
        paired_bootstrap_of_runs([0, 1], [[0.1, 0.2]] * 2, [[0.1, 0.2]], "auc", 10, 1)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "normalized_entropy"])
def test_one_score_for_all_rows_is_refused(metric):
    with pytest.raises(InputError):
        bootstrap([0, 1], [0.5], metric, 2, 1)
