"""The rows of the benchmark measured in parts, and beside scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import metrics
from benchmarks.metrics import PROBES, day, rows_within, scikit_learn, share_of_rows, told


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(metrics, "CHUNK", 5000)


def test_shares_add_up_to_all_rows():
    whole = share_of_rows(0, 27_000, True).states
    parts = [share_of_rows(0, 10_000, True).states, share_of_rows(2, 17_000, True).states]
    merged = metrics.States(*(one + two for one, two in zip(*parts, strict=True)))
    assert told(merged, True) == pytest.approx(told(whole, True), rel=1e-9)


def test_both_measure_the_same_rows():
    ours, theirs = told(share_of_rows(0, 12_000, False).states, False), scikit_learn(12_000)["numbers"]
    assert abs(ours["auc"] - theirs["auc"]) <= ours["auc_bound"]
    assert ours["log_loss"] == pytest.approx(theirs["log_loss"], rel=1e-12)
    assert ours["value"] == pytest.approx(theirs["brier"], rel=1e-12)


def test_a_day_has_the_exact_auc_of_these_rows_and_intervals():
    chunks = [metrics.chunk(number, rows) for number, rows in enumerate((5000, 5000, 2000))]
    label, logit = (np.concatenate(column) for column in list(zip(*chunks, strict=True))[:2])
    found = day(12_000)
    assert found["numbers"]["rows"] == 12_000
    assert found["numbers"]["served_auc"] == pytest.approx(roc_auc_score(label, logit), rel=1e-12)
    assert found["intervals"]["pcoc"]["low"] < found["numbers"]["pcoc"] < found["intervals"]["pcoc"]["high"]


def test_rows_that_fill_the_memory_follow_from_two_peaks():
    library, bytes_a_row = 180.0, 120
    few, more, filled = (library + rows * bytes_a_row / 1e6 for rows in (*PROBES, 25_000_000))
    assert rows_within(filled, few, more) == pytest.approx(25_000_000, rel=1e-9)
    with pytest.raises(ValueError, match="expected at least 276, which 800,000 rows take; received 200"):
        rows_within(200, few, more)
