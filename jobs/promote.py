"""The champion pointer of the day: the candidate if the gate accepted it, else the model that was in force.

A recorded override (`pnn-gluon rollback`) decides before the gate. A nightly recalibration of the model in force
is taken up when that model is kept.
"""

import datetime
from pathlib import Path
from typing import Any

from jobs.command import main
from jobs.reading import Reading
from jobs.step import Built, Report, Step
from pnn_gluon.days import parse_day, plus
from pnn_gluon.store.manifest import Manifest

NONE: dict[str, Any] = {"table": None, "day": None, "run": None, "model_day": None, "map_day": None}


def reads(reading: Reading) -> None:
    """Gate, candidate, yesterday's champion and its recalibration, and an override of today."""
    reading.need("gates")
    reading.need("bundles")
    reading.parent("champions")
    reading.optional("recalibrated", plus(reading.day, -1))
    chosen = _overridden(reading)
    if chosen is not None:
        reading.need("bundles", chosen)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Decide which bundle is in force from today on."""
    chosen, gate = _overridden(reading), reading.need("gates")
    if chosen is not None:
        override = reading.need("overrides")
        details = {
            **pointer(reading.need("bundles", chosen)),
            "decision": "override",
            "reason": override.details["reason"],
        }
    elif gate.details["accepted"]:
        details = {**pointer(reading.need("bundles")), "decision": "promoted", "reason": "accepted by the gate"}
    else:
        details = {**_kept(reading), "decision": "kept", "reason": "; ".join(gate.details["reasons"])}
    in_force = f"model of {details['model_day']}" if details["run"] else "no model"
    report(f"promote {reading.day}: {details['decision']}: {in_force} is in force")
    return Built(0 if details["run"] is None else 1, details)


def _overridden(reading: Reading) -> datetime.date | None:
    """The day of the model that an override of today puts in force."""
    override = reading.optional("overrides", reading.day)
    return parse_day(override.details["to"]) if override is not None and override.details["to"] else None


def _kept(reading: Reading) -> dict[str, Any]:
    """Yesterday's champion, with its newer calibration if the nightly evaluation made one."""
    champion = reading.parent("champions")
    if champion is None or champion.details["run"] is None:
        return NONE
    before = {key: champion.details[key] for key in NONE}
    recalibrated = reading.optional("recalibrated", plus(reading.day, -1))
    if recalibrated is not None and recalibrated.details["champion"] == before:
        return pointer(recalibrated)
    return before


def pointer(bundle: Manifest) -> dict[str, Any]:
    """What names a bundle for good: table, day and run, and the days of its model and map."""
    return {
        "table": bundle.table,
        "day": str(bundle.day),
        "run": bundle.run,
        "model_day": bundle.details["model_day"],
        "map_day": bundle.details["map_day"],
    }


STEP = Step("promote", "champions", (), reads, build)

if __name__ == "__main__":
    main(STEP)
