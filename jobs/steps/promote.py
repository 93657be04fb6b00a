"""The champion pointer of the day: the candidate if the gate accepted it, else the model that was in force.

A recorded override (`pnn-gluon rollback`) decides before the gate. A nightly recalibration of the model in force
is taken up when that model is kept.
"""

import datetime
from pathlib import Path
from typing import Any

from jobs.reading import Reading
from jobs.step import Built, Report, Step
from pnn_gluon.days import parse_day, plus
from pnn_gluon.store.manifest import Manifest

NONE: dict[str, Any] = {"table": None, "day": None, "run": None, "model_day": None, "map_day": None}


def reads(reading: Reading) -> None:
    """An override of today and its bundle; else gate, candidate, yesterday's champion and its recalibration."""
    chosen = _overridden(reading)
    if chosen is not None:
        reading.need_bundle(chosen)
        return
    reading.need("gates")
    reading.need("bundles")
    reading.parent("champions")
    reading.optional("recalibrated", plus(reading.day, -1))


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Decide which bundle is in force from today on."""
    details = _decide(reading)
    in_force = f"model of {details['model_day']}" if details["run"] else "no model"
    report(f"promote {reading.day}: {details['decision']}: {in_force} is in force")
    return Built(0 if details["run"] is None else 1, details)


def _decide(reading: Reading) -> dict[str, Any]:
    chosen = _overridden(reading)
    if chosen is not None:
        reason = reading.need("overrides").details["reason"]
        return {**pointer(reading.need_bundle(chosen)), "decision": "override", "reason": reason}
    gate = reading.need("gates")
    if gate.details["accepted"]:
        return {**pointer(reading.need("bundles")), "decision": "promoted", "reason": "accepted by the gate"}
    return {**_kept(reading), "decision": "kept", "reason": "; ".join(gate.details["reasons"])}


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
