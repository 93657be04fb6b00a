"""The metrics of a day's rows: every number of the day, and the interval of those that decide something.

A mergeable sum like its parts. Memory: that of the exact AUC (24 bytes a distinct score) and of the AUC within groups
(32 bytes a row and field); all else is fixed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from numpy.typing import ArrayLike

from pnn_gluon.evaluation.delong import delong_interval
from pnn_gluon.evaluation.grouped_auc import GroupedAuc
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.interval import MetricInterval
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.evaluation.resampling import Draws, Metric, Resampling
from pnn_gluon.evaluation.score_histogram import ScoreHistogram

SEED = 1
LEVEL = 0.95
DRAWN: tuple[Metric, ...] = ("log_loss", "normalized_entropy", "pcoc", "brier", "rmse")
"""Metrics with a bootstrap interval; ECE has none: it grows with noise, and every draw of the rows has more of it."""


@dataclass(frozen=True, eq=False)
class DayMetrics:
    """Rows of a day, scored by one model."""

    clicks: ClickMetrics = field(default_factory=ClickMetrics)
    histogram: ScoreHistogram = field(default_factory=ScoreHistogram)
    sample: Resampling = field(default_factory=Resampling)
    groups: Mapping[str, GroupedAuc] = field(default_factory=dict)

    def update(
        self,
        unit: Identities,
        groups: Mapping[str, Identities],
        label: ArrayLike,
        logit: ArrayLike,
        probability: ArrayLike,
        calibrated_logit: ArrayLike,
        weight: ArrayLike | None = None,
    ) -> "DayMetrics":
        """Add rows.

        Args:
            unit: What each row is drawn by, see `unit_identities` (B,).
            groups: By field, the identity of each row's value (B,).
            label: 0 or 1 (B,).
            logit: The model's (B,), for its ranks.
            probability: Calibrated, in [0, 1] (B,): what is served.
            calibrated_logit: Of that probability (B,).
            weight: How many impressions each row stands for (B,), whole numbers >= 0, or none.

        Raises:
            InputError: for other values, NaN, or lengths that differ.
        """
        within = {
            name: self.groups.get(name, GroupedAuc()).update(group, label, probability, weight)
            for name, group in groups.items()
        }
        return DayMetrics(
            self.clicks.update(label, logit, probability, calibrated_logit, weight),
            self.histogram.update_logits(label, calibrated_logit, weight),
            self.sample.update(unit, label, calibrated_logit, logit, weight=weight),
            within,
        )

    def __add__(self, other: "DayMetrics") -> "DayMetrics":
        names = dict.fromkeys((*self.groups, *other.groups))
        empty = GroupedAuc()
        return DayMetrics(
            self.clicks + other.clicks,
            self.histogram + other.histogram,
            self.sample + other.sample,
            {name: self.groups.get(name, empty) + other.groups.get(name, empty) for name in names},
        )

    def summary(self) -> dict[str, Any]:
        """`ClickMetrics.summary` and brier, rmse, equal_mass_ece with its bound; None where one is not defined."""
        brier, ece = self.histogram.brier().value, self.histogram.ece()
        more = {"brier": brier, "rmse": brier**0.5, "equal_mass_ece": ece.value, "equal_mass_ece_bound": ece.bound}
        return {**self.clicks.summary(), **{name: _defined(value) for name, value in more.items()}}

    def brier_parts(self) -> dict[str, float]:
        """What the Brier score consists of."""
        parts = asdict(self.histogram.brier())
        return {name: value for name, value in parts.items() if name != "value"}

    def auc_by(self) -> dict[str, dict[str, float | None]]:
        """The AUC within the values of each field, and the rows that it is about."""
        return {
            name: {key: _defined(value) for key, value in asdict(group.value()).items()}
            for name, group in self.groups.items()
        }

    def intervals(
        self, clustered: bool, repeats: int, min_clicks: int
    ) -> tuple[dict[str, dict[str, float]], list[str]]:
        """The 95 % intervals of the summary's numbers by name, and a note for what has none.

        AUC by DeLong where rows are independent, all else by the bootstrap of the units that rows were added with.

        Args:
            clustered: Whether units are clusters of rows, or of the impressions of rows with weights.
            repeats: Of the bootstrap.
            min_clicks: Units with clicks, and with non-clicks, below which there are none.
        """
        drawn = self.sample.draws(repeats, SEED)
        clicked, passed = (0, 0) if drawn is None else drawn.units_with
        if drawn is None or min(clicked, passed) < min_clicks:
            what = "clusters" if clustered else "rows"
            return {}, [
                f"no intervals: {clicked} {what} with clicks, {passed} with non-clicks, limit {min_clicks} each"
            ]
        found = self._found(drawn, clustered)
        told = {name: {"low": each.low, "high": each.high} for name, each in found.items() if each is not None}
        return told, [f"no interval of {name}: the rows show no spread of it" for name in found if name not in told]

    def _found(self, drawn: Draws, clustered: bool) -> dict[str, MetricInterval | None]:
        summary = self.summary()
        found: dict[str, MetricInterval | None] = {name: drawn.interval(name, LEVEL, summary[name]) for name in DRAWN}
        gained = found["normalized_entropy"]
        found["rig"] = gained and MetricInterval(1 - gained.value, 1 - gained.high, 1 - gained.low)
        for contrast, name, auc in ((1, 0), "served_auc", self.clicks.served_auc), ((0, 1), "auc", self.clicks.auc):
            if clustered:
                found[name] = drawn.interval("auc", LEVEL, auc.value(), contrast)
            else:
                found[name] = delong_interval(auc, LEVEL)
        return {name: each if each and each.low < each.high else None for name, each in found.items()}


def _defined(value: float) -> float | None:
    return value if isfinite(value) else None
