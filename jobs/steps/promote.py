"""The champion pointer of the day: the candidate if the gate accepted it, else the model that was in force.

A recorded override (`pnn-gluon rollback`) decides before the gate. Where the gate asks a person, a candidate that it
accepted needs an answer about exactly this candidate (`pnn-gluon approve`). A nightly recalibration of the model in
force is taken up when that model is kept.
"""

import logging
from pathlib import Path

from pnn_gluon.pipeline.details import NOWHERE, BundleDetails, ChampionDetails, Pointer, RecalibratedDetails
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import APPROVAL, CANDIDATE, DECISION, OVERRIDE, RECALIBRATED_BEFORE, STANDING
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)

ACCEPTED = "accepted by the gate"


def build(inputs: Inputs, folder: Path) -> Built:
    """Decide which bundle is in force from today on."""
    details = _decide(inputs)
    in_force = details.pointer.run is not None
    words = f"model of {details.pointer.model_day}" if in_force else "no model"
    log.info("promote %s: %s: %s is in force", inputs.day, details.decision, words)
    return Built(int(in_force), details)


def _decide(inputs: Inputs) -> ChampionDetails:
    override, gate, candidate = inputs[OVERRIDE], inputs[DECISION], inputs[CANDIDATE]
    if override is not None:
        told = override.details
        pointer = _pointer(override.bundle)
        return ChampionDetails(pointer=pointer, decision="override", reason=told.reason, by=told.by, at=told.at)
    assert gate is not None
    assert candidate is not None
    if not gate.details.accepted:
        return ChampionDetails(pointer=_still(inputs), decision="kept", reason="; ".join(gate.details.reasons))
    if gate.details.asks:
        return _answered(inputs, candidate)
    return ChampionDetails(pointer=_pointer(candidate), decision="promoted", reason=ACCEPTED)


def _answered(inputs: Inputs, candidate: Partition[BundleDetails]) -> ChampionDetails:
    """What a person said of this candidate; until somebody has, and if nobody has in time, the champion stays."""
    approval = inputs[APPROVAL]
    if approval is None or approval.details.candidate != candidate.run:
        reason = f"waits for approval: pnn-gluon approve --day {inputs.day} --reason ..."
        return ChampionDetails(pointer=_still(inputs), decision="kept", reason=reason)
    told = approval.details
    if told.approved:
        reason = f"{ACCEPTED}, approved by {told.by}: {told.reason}"
        pointer = _pointer(candidate)
        return ChampionDetails(pointer=pointer, decision="promoted", reason=reason, by=told.by, at=told.at)
    reason = told.reason if told.by is None else f"rejected by {told.by}: {told.reason}"
    return ChampionDetails(pointer=_still(inputs), decision="kept", reason=reason, by=told.by, at=told.at)


def _still(inputs: Inputs) -> Pointer:
    """The champion until now, with its newer calibration if the nightly evaluation made one."""
    champion = inputs[STANDING]
    if champion is None or champion.details.pointer.run is None:
        return NOWHERE
    recalibrated = inputs[RECALIBRATED_BEFORE]
    if recalibrated is not None and recalibrated.details.champion == champion.details.pointer:
        return _pointer(recalibrated)
    return champion.details.pointer


def _pointer(bundle: Partition[BundleDetails] | Partition[RecalibratedDetails]) -> Pointer:
    """What names a bundle for good: table, day and run, and the days of its model and map."""
    return Pointer(
        table=bundle.manifest.table,
        day=str(bundle.day),
        run=bundle.run,
        model_day=bundle.details.model_day,
        map_day=bundle.details.map_day,
    )
