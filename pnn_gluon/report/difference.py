"""What differs between two days of a pipeline: numbers, models, options, versions."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.day_report import EN_DASH, metric_formats, metric_text


@dataclasses.dataclass(frozen=True)
class Row:
    """Something that is not the same on both days."""

    what: str
    then: str
    now: str


@dataclasses.dataclass(frozen=True)
class Difference:
    """What is not the same on the other day."""

    day: str
    rows: Sequence[Row]


def difference(then: DayDocument, now: DayDocument) -> Difference:
    """What of a day differs from another one."""
    found = [*_numbers(then, now), *_said(then, now), *_made(then, now)]
    return Difference(then.report.day, [row for row in found if row.then != row.now])


def _numbers(then: DayDocument, now: DayDocument) -> Iterator[Row]:
    for name, (heading, form) in metric_formats(now.report.weighted).items():
        values = [metric_text(each.report.summary.get(name), form) for each in (then, now)]
        yield Row(heading, *values)
    volumes = [{f"{each.step}: {each.what}": each.rows for each in page.volumes} for page in (then, now)]
    yield from _by_key(volumes[0], volumes[1])


def _said(then: DayDocument, now: DayDocument) -> Iterator[Row]:
    yield Row("decision", then.report.gate or EN_DASH, now.report.gate or EN_DASH)
    findings = [", ".join(str(each["words"]) for each in page.report.checks) or EN_DASH for page in (then, now)]
    yield Row("data checks", *findings)


def _made(then: DayDocument, now: DayDocument) -> Iterator[Row]:
    """Options, and versions that a step was made with."""
    before = {each.step: each for each in then.lineage}
    for each in now.lineage:
        if (other := before.get(each.step)) is not None:
            yield from _by_key(other.options, each.options, f"{each.step}: ")
            yield from _by_key(other.made_by, each.made_by, f"{each.step}: ")


def _by_key(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[Row]:
    for key in sorted(then.keys() | now.keys()):
        yield Row(f"{where}{key}", _text(then.get(key)), _text(now.get(key)))


def _text(value: Any) -> str:
    if value is None:
        return EN_DASH
    return f"{value:,}" if isinstance(value, int) else value if isinstance(value, str) else json.dumps(value)
