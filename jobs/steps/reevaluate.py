"""The model that was in force during a past day, measured again now that the day's labels have matured."""

import dataclasses
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.evaluate import NOTHING, evaluate_rows
from jobs.steps.mature import matured_day
from jobs.steps.serving_model import champion_folder
from pnn_gluon.days import plus


def reads(reading: Reading) -> None:
    """The matured rows and the champion of the day before them."""
    day = matured_day(reading)
    reading.need("matured")
    if day is not None and day > reading.config.first_day:
        reading.need("champions", plus(day, -1))


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Score the matured rows through the bundle that was in force, and measure."""
    day, matured = matured_day(reading), reading.need("matured")
    champion = None
    if day is not None and day > reading.config.first_day:
        champion = champion_folder(reading.store, reading.need("champions", plus(day, -1)))
    if champion is None:
        report(f"reevaluate {reading.day}: no matured day with a model in force yet")
        return Built(0, {**NOTHING, "day": str(day) if day else None})
    if not matured.details.get("rows", matured.rows):
        return kept(f"no rows of {day}", **NOTHING, day=str(day))
    built = evaluate_rows(reading, champion, reading.store.folder(matured) / "rows.parquet", folder)
    report(f"reevaluate {reading.day}: {day}: {built.details['summary']}")
    return dataclasses.replace(built, details={"day": str(day), **built.details})


STEP = Step("reevaluate", "reevaluations", ("calibration.maturity_days",), reads, build)
