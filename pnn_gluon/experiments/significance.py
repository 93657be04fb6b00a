"""Whether one model is better than another on the same test rows, over several seeds of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import Floats
from pnn_gluon.evaluation.bootstrap import Interval, Metric, paired_bootstrap_of_runs
from pnn_gluon.evaluation.metrics import Auc, LogLoss, row_log_loss

METRICS: tuple[Metric, ...] = ("auc", "log_loss")

_FEWEST_RUNS = 6
"""With n runs the smallest two-sided p is 2 / 2^n: 0.0625 for five, 0.03125 for six."""


@dataclass(frozen=True)
class Comparison:
    """First model against second; differences are first minus second.

    Attributes:
        rows: Test rows.
        runs: Seeds of each model that were paired.
        wilcoxon_rows: Two-sided p of the signed-rank test on the log losses of rows, each the mean over the runs.
        wilcoxon_runs: Two-sided p of the signed-rank test on the runs' differences, by metric; None for fewer than
            six runs, with which it cannot fall below 0.05 whatever they give.
        bootstrap: Difference of the mean metric over runs, with its interval over draws of test rows, by metric.
    """

    rows: int
    runs: int
    wilcoxon_rows: float
    wilcoxon_runs: dict[str, float | None]
    bootstrap: dict[str, Interval]


def compare(
    label: Floats, first: Sequence[Floats], second: Sequence[Floats], *, repeats: int = 1000, seed: int = 1
) -> Comparison:
    """Compare the test probabilities of two models, one array (B,) for each run; run i of one is paired with run i.

    Wilcoxon (1945), as [PNN] Table 8 uses it; paired bootstrap: Efron (1979).

    Raises:
        InputError: no runs, another number of runs for each, or arrays that the metrics are undefined on.
    """
    if not first or len(first) != len(second):
        raise InputError(f"comparison: expected the same seeds of both models, received {len(first)} and {len(second)}")
    losses = [np.mean([row_log_loss(label, p) for p in runs], axis=0) for runs in (first, second)]
    return Comparison(
        rows=label.size,
        runs=len(first),
        wilcoxon_rows=_signed_rank(losses[0] - losses[1]),
        wilcoxon_runs={metric: _over_runs(label, first, second, metric) for metric in METRICS},
        bootstrap={metric: paired_bootstrap_of_runs(label, first, second, metric, repeats, seed) for metric in METRICS},
    )


def _over_runs(label: Floats, first: Sequence[Floats], second: Sequence[Floats], metric: Metric) -> float | None:
    if len(first) < _FEWEST_RUNS:
        return None
    state = Auc() if metric == "auc" else LogLoss()
    one, two = (np.array([state.update(label, p).value() for p in runs]) for runs in (first, second))
    return _signed_rank(one - two)


def _signed_rank(differences: Floats) -> float:
    """Two-sided p; 1 if there is no difference at all."""
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)
