"""Calibration against known click probabilities: by method and sampling rate, by segment, and after a change of a day.

    python -m benchmarks.truth [--rows 300000] [--seeds 1,2,3] [--days 12]

A generated world (`pnn_gluon.data.synthetic_world`) tells the true probability of every row. The model is a logistic
regression on hashed values, trained on one day with its negatives kept at a rate: it misses the world's interactions
and follows chance in rare values, so that what it says needs calibration. Calibrators are fitted on a fifth as many
rows of the next day, at the natural rate, and judged by the truth on the day after that:

    logit_error    root of the mean of (calibrated logit - true logit)^2 over rows; the model's own misses are in it
    ece            mean over 50 bins of equal rows by p of |mean p - mean true p|, in units of the click rate

`uncorrected` is the model's own probability, `none` that with the exact sampling correction alone.

Segments: from the second day on, one value of C25 clicks 1.4 times as often as the model has learnt. Mean p over mean
true p in that segment, in all others together, and the mean over rows of its distance from 1 in their segment.

Halved: on one day all true probabilities halve for good. A day is served by the calibrator that the pipeline would
have, fitted to labels of two days and the maturity before it: the night after a day refits, the next day's promote
takes it up, and that model scores the day after. How many days PCOC stays outside its 95 % interval on a tenth of the
rows; null for all days. Ends with one JSON line.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any

import numpy as np
import scipy.sparse
import typer
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from jobs.logs import show_on_stderr
from jobs.terminal import console
from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.data.synthetic_world import CODES, Stream, World, hours_of, mix
from pnn_gluon.evaluation.calibration import Method, correct_sampling
from pnn_gluon.evaluation.fitted_calibration import fit_calibration
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid
from pnn_gluon.evaluation.pcoc_interval import pcoc_interval
from pnn_gluon.evaluation.segments import Calibration, RowSegments

log = logging.getLogger("benchmarks.truth")

RATES = (1.0, 0.1, 0.01)
METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "beta", "isotonic", "auto")
C = 0.1
"""Of the model: how little it is regularized."""
HASHED = 2**17
"""Columns of the model."""
BINS = 50
SEGMENT_FIELD = 24
"""C25: 105 values, the most frequent in a tenth of the rows, and none in 44 %."""
OFF = 1.4
MISSING = -1
HALVED_ON = 3
"""The first day of half the clicks; the calibrator of the first days was fitted to day 1."""


@dataclass(frozen=True)
class Day:
    """Rows of a day: hashed values, true logit, label, and the value of the segment's field."""

    values: Ids  # (B, 39)
    truth: Floats
    label: Floats
    segment: Ids


def main(
    rows: Annotated[
        int, typer.Option(min=20_000, help="Rows that the model is trained on, before sampling.")
    ] = 300_000,
    seeds: Annotated[str, typer.Option(help="Worlds, separated by commas.")] = "1,2,3",
    days: Annotated[int, typer.Option(min=HALVED_ON + 4, help="Days of the world that halves.")] = 12,
) -> None:
    """Measure and print."""
    worlds = [int(seed) for seed in seeds.split(",")]
    found = {"sampling": by_method(rows, worlds), "segments": by_segment(rows, worlds)}
    halved = after_half_the_clicks(rows, worlds, days)
    for title, figures in found.items():
        console().print(_table(title, figures))
    print(json.dumps({"rows": rows, "seeds": worlds, **found, "halved": halved}))


def by_method(rows: int, seeds: Iterable[int]) -> dict[str, dict[str, float]]:
    """Errors of `method rate`, means over worlds."""
    lines = [line for seed in seeds for line in _of_methods(rows, seed)]
    return _means(lines)


def _of_methods(rows: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    world = world_of(seed)
    trained, fitted, judged = (drawn(world, day, size) for day, size in ((0, rows), (1, rows // 5), (2, rows)))
    for rate in RATES:
        model = Model(trained, rate, seed)
        yield f"uncorrected {rate:g}", errors(model.raw(judged), judged)
        for method in METHODS:
            found = fit_calibration(method, model.corrected(fitted), fitted.label)
            yield f"{method} {rate:g}", errors(found.calibration.logit(model.corrected(judged)), judged)
            log.info(f"world {seed}, rate {rate:g}, {method}: {found.choice.method if found.choice else 'done'}")


def by_segment(rows: int, seeds: Iterable[int]) -> dict[str, dict[str, float]]:
    """Bias of the segment that is off and of the others, without and with calibrators by segment."""
    return _means([line for seed in seeds for line in _of_segments(rows, seed)])


def _of_segments(rows: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    world = world_of(seed)
    trained = drawn(world, 0, rows)
    values, counts = np.unique(trained.segment[trained.segment != MISSING], return_counts=True)
    off = int(values[np.argmax(counts)])
    fitted, judged = (changed(drawn(world, day, rows // 2), OFF, off) for day in (1, 2))
    model = Model(trained, 0.1, seed)
    for name, method, by in (("none", "none", False), ("whole", "platt", False), ("by segment", "platt", True)):
        segment = row_segment(fitted) if by else None
        found = fit_calibration(method, model.corrected(fitted), fitted.label, segment=segment)
        p = found.calibration.probability(model.corrected(judged), row_segment(judged))
        yield name, _segment_errors(p, judged, off)


def _segment_errors(p: Floats, day: Day, off: int) -> dict[str, float]:
    truth, inside = sigmoid(day.truth), day.segment == off
    _, of = np.unique(day.segment, return_inverse=True)
    each = np.abs(np.bincount(of, p) / np.bincount(of, truth) - 1)
    return {
        "off": float(p[inside].sum() / truth[inside].sum()),
        "others": float(p[~inside].sum() / truth[~inside].sum()),
        "distance": float(np.average(each, weights=np.bincount(of))),
    }


def after_half_the_clicks(rows: int, seeds: Iterable[int], days: int) -> dict[str, list[int | None]]:
    """Days that PCOC is outside its interval from the change on, world by world; None for all that were looked at."""
    found: dict[str, list[int | None]] = {}
    for seed in seeds:
        world = world_of(seed)
        model = Model(drawn(world, 0, rows), 0.1, seed)
        fitted = [halved(drawn(world, day, rows // 5), day) for day in range(1, days)]
        judged = [halved(drawn(world, day, rows // 10, start=rows), day) for day in range(1, days)]
        for name, lag in (("never recalibrated", None), ("maturity 0", 2), ("maturity 1", 3)):
            found.setdefault(name, []).append(days_outside(model, fitted, judged, lag))
    return found


def days_outside(model: "Model", fitted: list[Day], judged: list[Day], lag: int | None) -> int | None:
    """Days from the change on until PCOC is within its interval.

    Args:
        model: Of day 0.
        fitted: Calibrate shares of day 1, 2, ...
        judged: What is measured of the same days.
        lag: Days between the labels of a calibrator and the day that it serves; None to keep that of day 1.
    """

    @cache
    def calibration(place: int) -> Calibration:
        day = fitted[place]
        return fit_calibration("auto", model.corrected(day), day.label).calibration

    for place in range(HALVED_ON - 1, len(judged)):
        in_force = calibration(0 if lag is None else max(place - lag, 0))
        measured = pcoc_interval(judged[place].label, in_force.probability(model.corrected(judged[place])))
        log.info(f"lag {lag}, day {place + 1}: pcoc {measured.value} [{measured.low}, {measured.high}]")
        if measured.low <= 1 <= (measured.high or np.inf):
            return place - (HALVED_ON - 1)
    return None


def world_of(seed: int) -> World:
    """A world whose days are alike."""
    return World(SyntheticOptions(seed=seed, first_day=date(2026, 11, 1), click_rate=0.05, drift=0.0))


def drawn(world: World, day: int, rows: int, start: int = 0) -> Day:
    """Rows of a day."""
    found = world.draw(Stream.LOG, day, start, hours_of(0, rows, rows))
    tokens = found.tokens.copy()
    segment = (tokens[SEGMENT_FIELD] & np.uint32(0x7FFFFFFF)).astype(np.int32)
    for field, missing in found.missing.items():
        tokens[field][missing] = CODES + field
    segment[found.missing[SEGMENT_FIELD]] = MISSING
    buckets = (found.numbers >> np.uint16(7)).astype(np.uint32)  # 32 a number
    columns = np.concatenate([tokens, buckets]) ^ mix(np.arange(39, dtype=np.uint32))[:, None]
    values = (mix(columns) % np.uint32(HASHED)).astype(np.int32).T
    return Day(values, found.logit, found.label.astype(np.float64), segment)


def changed(day: Day, factor: float, segment: int | None = None) -> Day:
    """The day with true probabilities times a factor, in one segment or in all, and labels drawn anew."""
    p = sigmoid(day.truth)
    p = np.where(True if segment is None else day.segment == segment, np.minimum(p * factor, 0.999), p)
    label = (np.random.default_rng(len(p)).random(len(p)) < p).astype(np.float64)
    return Day(day.values, log_odds(p), label, day.segment)


def halved(day: Day, number: int) -> Day:
    """The day, changed if it is after the change."""
    return changed(day, 0.5) if number >= HALVED_ON else day


def row_segment(day: Day) -> RowSegments:
    """The segments of its rows; the missing value is one of them."""
    return RowSegments("c25", day.segment, MISSING - 1)


class Model:
    """A logistic regression on one day, its negatives kept at a rate."""

    def __init__(self, day: Day, rate: float, seed: int) -> None:
        self._rate = rate
        kept = (day.label == 1) | (np.random.default_rng(seed).random(day.label.size) < rate)
        self._model = LogisticRegression(C=C, max_iter=60, tol=1e-3)
        self._model.fit(_one_hot(day.values[kept]), day.label[kept])

    def raw(self, day: Day) -> Floats:
        """Its logits (B,)."""
        found: Floats = self._model.decision_function(_one_hot(day.values))
        return found

    def corrected(self, day: Day) -> Floats:
        """The same at the natural rate."""
        return correct_sampling(self.raw(day), self._rate)


def _one_hot(values: Ids) -> Any:
    ones = np.ones(values.size, np.float32)
    starts = np.arange(len(values) + 1) * values.shape[1]
    return scipy.sparse.csr_matrix((ones, values.ravel(), starts), shape=(len(values), HASHED))


def errors(logit: Floats, day: Day) -> dict[str, float]:
    """The logit error and the ECE against the truth."""
    truth, p, order = sigmoid(day.truth), sigmoid(logit), np.argsort(logit, kind="stable")
    gaps = [abs(float((p[part] - truth[part]).mean())) for part in np.array_split(order, BINS)]
    error = np.sqrt(np.mean((logit - day.truth) ** 2))
    return {"logit_error": float(error), "ece": float(np.mean(gaps) / truth.mean())}


def _means(lines: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Mapping[str, float]]] = {}
    for name, figures in lines:
        groups.setdefault(name, []).append(figures)
    return {
        name: {key: round(float(np.mean([each[key] for each in found])), 4) for key in found[0]}
        for name, found in groups.items()
    }


def _table(title: str, figures: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table("", *next(iter(figures.values())), title=title)
    for name, line in figures.items():
        table.add_row(name, *(f"{value:.4f}" for value in line.values()))
    return table


if __name__ == "__main__":
    show_on_stderr([log.name])
    typer.run(main)
