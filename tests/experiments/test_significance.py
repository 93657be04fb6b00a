from itertools import product

import numpy as np
import pytest
from scipy import stats

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.bootstrap import paired_bootstrap, paired_bootstrap_of_runs
from pnn_gluon.experiments.significance import compare


def runs(noise, count=6, rows=400):
    """Labels and probabilities of runs: the truth with that much noise on its logit."""
    random = np.random.default_rng(1)
    logit = random.normal(size=rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return label, [1 / (1 + np.exp(-logit - noise * random.normal(size=rows))) for _ in range(count)]


def signed_rank(differences):
    """Two-sided p of the signed-rank test, by going through all signs."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    found = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product((0, 1), repeat=len(ranks))]
    return min(1, 2 * np.mean(np.array(sums) <= found))


def test_a_clearly_better_model_is_found_better():
    (label, good), (_, bad) = runs(0.1), runs(2.0)
    found = compare(label, good, bad, repeats=100)
    assert (found.rows, found.runs) == (400, 6)
    assert found.wilcoxon_rows < 1e-6
    assert found.wilcoxon_runs == {"auc": 2 / 2**6, "log_loss": 2 / 2**6}
    assert found.bootstrap["auc"].low > 0
    assert found.bootstrap["log_loss"].high < 0


def test_p_over_runs_equals_the_count_of_signs():
    (label, first), (_, second) = runs(0.50), runs(0.55)
    found = compare(label, first, second, repeats=10)
    loss = [[-np.mean(np.log(np.where(label == 1, p, 1 - p))) for p in side] for side in (first, second)]
    assert found.wilcoxon_runs["log_loss"] == pytest.approx(signed_rank(np.subtract(*loss)))


def test_logits_are_compared_as_their_probabilities_and_never_infinite():
    (label, first), (_, second) = runs(0.1), runs(1.0)
    logits = [[np.log(p / (1 - p)) for p in side] for side in (first, second)]
    by_logit, by_probability = (
        compare(label, *logits, logits=True, repeats=20),
        compare(label, first, second, repeats=20),
    )
    assert by_logit.wilcoxon_rows == pytest.approx(by_probability.wilcoxon_rows, rel=1e-6)
    assert by_logit.bootstrap["log_loss"].low == pytest.approx(by_probability.bootstrap["log_loss"].low, rel=1e-9)
    logits[0][0][np.flatnonzero(label == 0)[0]] = 40  # whose probability is exactly 1
    certain = compare(label, *logits, logits=True, repeats=20)
    assert np.isfinite([certain.wilcoxon_rows, certain.bootstrap["log_loss"].high]).all()


def test_a_model_does_not_differ_from_itself():
    label, same = runs(0.5, count=2)
    found = compare(label, same, same, repeats=10)
    assert found.wilcoxon_rows == 1
    assert found.wilcoxon_runs == {"auc": 1, "log_loss": 1}
    assert found.bootstrap["auc"].difference == 0


def test_exchanging_the_models_changes_the_sign_only():
    (label, first), (_, second) = runs(0.1, count=2), runs(1.0, count=2)
    there, back = compare(label, first, second, repeats=50), compare(label, second, first, repeats=50)
    assert there.bootstrap["auc"].low == pytest.approx(-back.bootstrap["auc"].high, abs=1e-12)
    assert there.wilcoxon_rows == back.wilcoxon_rows


def test_one_run_is_the_paired_bootstrap_of_two_models():
    (label, first), (_, second) = runs(0.1, count=1), runs(1.0, count=1)
    alone = paired_bootstrap(label, first[0], second[0], "auc", 50, 1)
    assert paired_bootstrap_of_runs(label, first, second, "auc", 50, 1) == alone


def test_models_with_other_numbers_of_runs_are_refused():
    label, first = runs(0.1, count=3)
    with pytest.raises(InputError, match="received 3 and 2"):
        compare(label, first, first[:2])


def test_models_of_squared_loss_are_compared_by_squared_error_and_auc():
    (label, first), (_, second) = runs(0.1), runs(2.0)
    certain = [np.where(p > 0.9, 1.0, p) for p in first]  # the log loss of these would be infinite
    found = compare(label, certain, second, loss="squared", repeats=20)
    assert found.bootstrap.keys() == found.wilcoxon_runs.keys() == {"auc"}
    errors = [np.mean([(p - label) ** 2 for p in side], axis=0) for side in (certain, second)]
    assert found.wilcoxon_rows == stats.wilcoxon(errors[0] - errors[1]).pvalue
