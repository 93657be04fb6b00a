"""What of a day's data is not as before: each check measures, a rule says from where on that is a finding."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pnn_gluon.checks.chance import Counts, Distance, distance, merged_cells, new_values, unlikely
from pnn_gluon.checks.profile import DayProfile, edge
from pnn_gluon.checks.shifts import Shift
from pnn_gluon.config import ChecksConfig, Fields

SHOWN_CHARACTERS = 40
"""Of a value, in words."""

BEFORE, REQUESTS = "before", "in the requests"
"""What rows are compared with, in words."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not as before.

    Attributes:
        check: of which kind, an option of `[checks]`.
        field: the field; None where it is about all rows.
        value: the number that was found.
        limit: what it may be at most: as configured, or, where few rows were compared, what chance may bring.
        level: `fail` or `warn`.
        words: the same for people, in one line.
    """

    check: str
    field: str | None
    value: float
    limit: float
    level: Literal["fail", "warn"]
    words: str

    def to_json(self) -> dict[str, Any]:
        """The attributes, of a short form."""
        return {**dataclasses.asdict(self), "value": round(self.value, 6), "limit": round(self.limit, 6)}


@dataclasses.dataclass(frozen=True)
class Measured:
    """A number and what chance may bring; `words` has a place for the limit."""

    check: str
    field: str | None
    value: float
    words: str
    chance: float = 0.0


def findings(checks: ChecksConfig, measured: Iterable[Measured]) -> list[Finding]:
    """What is above its limit and beyond chance; what fails first, then what is furthest above its limit."""
    found = []
    for each in measured:
        rule = checks.rule(each.check, each.field)
        limit = max(rule.limit, each.chance)
        if rule.level != "off" and each.value > limit:
            words = f"{each.words} (limit {limit:.3g})"
            found.append(Finding(each.check, each.field, each.value, limit, rule.level, words))
    return sorted(found, key=lambda one: (one.level != "fail", -one.value / (one.limit or 1.0), one.words))


def of_days(
    fields: Fields, today: DayProfile, before: Sequence[DayProfile], shifts: Mapping[str, Shift], weekday: str
) -> Iterator[Measured]:
    """A day against the days before it; in a field, against those of them that had it.

    Args:
        fields: Of the rows.
        today: The day.
        before: The days before, at least one.
        shifts: Of fields whose values are counted.
        weekday: The column that tells the day of the week, which no two days share; "" for none.
    """
    every = sum(before, DayProfile())
    yield from _volume(today, every, len(before))
    yield from _label_rate(today, every)
    yield from _rejects(today, every)
    for field in fields:
        having = [each for each in before if field.name in each.missing]
        if not having:
            continue
        then = every if len(having) == len(before) else sum(having, DayProfile())
        yield from _missing(field.name, today, then)
        if field.column != weekday:
            yield from _moved(field.name, today, then, shifts)


def of_copies(copied: Mapping[str, str]) -> Iterator[Measured]:
    """Logs of a day that are those of the day before: the names of each, as of its twin."""
    for name, twin in copied.items():
        yield Measured("copies", None, 1, f"copies: {name} is, byte for byte, {twin} of the day before")


def of_requests(
    fields: Fields, logs: DayProfile, requests: DayProfile, shifts: Mapping[str, Shift]
) -> Iterator[Measured]:
    """A day's logs against the requests that were scored for it, field by field."""
    sides = logs, requests
    for field in fields:
        for each in (*_missing(field.name, *sides, REQUESTS), *_moved(field.name, *sides, shifts, REQUESTS)):
            yield dataclasses.replace(each, check="skew", words=f"skew of logs to requests: {each.words}")


def _volume(today: DayProfile, before: DayProfile, days: int) -> Iterator[Measured]:
    rows, mean = today.rows, before.rows / days
    if unlikely(rows, rows + before.rows, 1 / (days + 1)):
        words = f"volume: {rows:,} rows, {mean:,.0f} a day before"
        yield Measured("volume", None, max(rows / mean, mean / rows), words)


def _label_rate(today: DayProfile, before: DayProfile) -> Iterator[Measured]:
    clicks, both = today.clicks, today.clicks + before.clicks
    if unlikely(clicks, both, today.rows / (today.rows + before.rows)):
        now, then = ((side.clicks + 0.5) / (side.rows + 1) for side in (today, before))  # of no click, too
        words = f"label rate: {_percent(clicks / today.rows)}, {_percent(before.clicks / before.rows)} before"
        yield Measured("label_rate", None, max(now / then, then / now), words)


def _rejects(today: DayProfile, before: DayProfile) -> Iterator[Measured]:
    lines, earlier = today.read, before.read
    now, then = today.rejects / lines, before.rejects / earlier
    if unlikely(today.rejects, today.rejects + before.rejects, lines / (lines + earlier)):
        words = f"rejects: {_percent(now)} of the lines, {_percent(then)} before"
        yield Measured("rejects", None, now - then, words)


def _missing(name: str, today: DayProfile, before: DayProfile, there: str = BEFORE) -> Iterator[Measured]:
    """A field that has no value any more, or whose share of rows without one has changed."""
    empty, earlier = today.missing.get(name, 0), before.missing.get(name, 0)
    given, before_given = today.rows - empty, before.rows - earlier
    share = today.rows / (today.rows + before.rows)
    rarer = min((empty, empty + earlier), (given, given + before_given), key=lambda pair: pair[1])
    if not unlikely(*rarer, share):
        return
    now, then = empty / today.rows, earlier / before.rows
    told = f"{name}: {_percent(now)} of the rows have no value, {_percent(then)} {there}"
    if not given:
        yield Measured("absent", name, now, told, chance=then)
    else:
        yield Measured("missing", name, abs(now - then), f"missing values of {told}")


def _moved(
    name: str, today: DayProfile, before: DayProfile, shifts: Mapping[str, Shift], there: str = BEFORE
) -> Iterator[Measured]:
    """How far the values of a field have moved, and how many are new."""
    rows = tuple(side.rows - side.missing.get(name, 0) for side in (today, before))
    if name in shifts:
        shift = shifts[name]
        yield _drift(name, distance(shift.today, shift.before, (rows[0], rows[1])), _most_moved(shift))
        new = new_values(shift.new, int(shift.today.sum()), shift.pooled, shift.number)
        words = f"new values of {name}: {_percent(shift.new / shift.today.sum())} of the values were not {there}"
        yield Measured("new_values", name, new.value, f"{words}, {_percent(new.value)} beyond chance", new.chance)
    elif today.numbers.get(name) and before.numbers.get(name):
        found = sorted(today.numbers[name].keys() | before.numbers[name].keys())
        now, then = (_in_cells(side.numbers[name], found) for side in (today, before))
        words = f"median about {_median(found, then)} -> {_median(found, now)}"
        yield _drift(name, distance(*merged_cells(now, then), (rows[0], rows[1])), words)


def _in_cells(counts: Mapping[int, int], cells: Sequence[int]) -> Counts:
    return np.array([counts.get(cell, 0) for cell in cells], np.int64)


def _median(cells: Sequence[int], counts: Counts) -> str:
    """The lower median, as the edge of its cell."""
    return f"{edge(cells[int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))]):.3g}"


def _drift(name: str, found: Distance, words: str) -> Measured:
    return Measured("drift", name, found.value, f"drift of {name}: {found.value:.3f}; {words}", found.chance)


def _most_moved(shift: Shift) -> str:
    """The value whose share changed most, written so that no character of it does anything."""
    now, then = shift.today / shift.today.sum(), shift.before / shift.before.sum()
    most = int(np.argmax(np.abs(now - then)))
    name = repr(shift.values[most][:SHOWN_CHARACTERS]) if most < len(shift.values) else "all rarer values"
    return f"{name} {_percent(float(then[most]))} -> {_percent(float(now[most]))}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
