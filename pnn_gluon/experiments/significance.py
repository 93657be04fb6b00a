"""Whether one model is better than another on the same test rows, over several seeds of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.bootstrap import Interval, Metric, paired_bootstrap_of_runs
from pnn_gluon.evaluation.metrics import Auc, LogLoss, row_log_loss, row_logit_loss
from pnn_gluon.experiments.scores import Loss

METRICS: Mapping[Loss, tuple[Metric, ...]] = {"log": ("auc", "log_loss"), "squared": ("auc",)}
"""What is compared, by the loss that the models were trained on."""


@dataclass(frozen=True)
class Comparison:
    """First model against second; differences are first minus second.

    Attributes:
        rows: Test rows.
        runs: Seeds of each model that were paired.
        wilcoxon_rows: Two-sided p of the signed-rank test on the losses of rows (log loss, or squared error of the
            probability), each the mean over the runs.
        wilcoxon_runs: Two-sided p of the signed-rank test on the runs' differences, by metric. With n runs it is
            2 / 2^n or more, so fewer than six runs never reach 0.05.
        bootstrap: Difference of the mean metric over runs, with its interval over draws of test rows, by metric.
            AUC has None in both if all rows are of one class.
    """

    rows: int
    runs: int
    wilcoxon_rows: float
    wilcoxon_runs: dict[str, float | None]
    bootstrap: dict[str, Interval | None]


def compare(
    label: Floats,
    first: Sequence[Floats],
    second: Sequence[Floats],
    *,
    loss: Loss = "log",
    logits: bool = False,
    repeats: int = 1000,
    seed: int = 1,
) -> Comparison:
    """Compare the test probabilities of two models, one array (B,) for each run; run i of one is paired with run i.

    With `logits` the arrays are logits of probabilities: then no log loss is infinite.

    Wilcoxon (1945), as [PNN] Table 8 uses it; paired bootstrap: Efron (1979).

    Raises:
        InputError: no runs, another number of runs for each, or arrays that the metrics are undefined on.
    """
    if not first or len(first) != len(second):
        raise InputError(f"comparison: expected the same seeds of both models, received {len(first)} and {len(second)}")
    losses = [np.mean([_row_loss(loss, label, p, logits) for p in runs], axis=0) for runs in (first, second)]
    metrics = METRICS[loss]
    defined = [metric for metric in metrics if metric != "auc" or np.ptp(label)]
    return Comparison(
        rows=label.size,
        runs=len(first),
        wilcoxon_rows=_signed_rank(losses[0] - losses[1]),
        wilcoxon_runs={
            metric: _over_runs(label, first, second, metric, logits) if metric in defined else None
            for metric in metrics
        },
        bootstrap={
            metric: paired_bootstrap_of_runs(label, first, second, metric, repeats, seed, logits=logits)
            if metric in defined
            else None
            for metric in metrics
        },
    )


def _row_loss(loss: Loss, label: Floats, scores: Floats, logits: bool) -> Floats:
    if logits:
        return row_logit_loss(label, scores)
    return row_log_loss(label, scores) if loss == "log" else (scores - label) ** 2


def _over_runs(label: Floats, first: Sequence[Floats], second: Sequence[Floats], metric: Metric, logits: bool) -> float:
    def value(scores: Floats) -> float:
        if metric == "auc":
            return Auc().update(label, scores).value()
        return (LogLoss().update_logits if logits else LogLoss().update)(label, scores).value()

    one, two = (np.array([value(scores) for scores in runs]) for runs in (first, second))
    return _signed_rank(one - two)


def _signed_rank(differences: Floats) -> float:
    """Two-sided p; 1 if there is no difference at all."""
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)
