"""What was decided about the model of a day, by the gate and by people, in a word and in a line."""

from typing import NamedTuple

from pnn_gluon.pipeline.details import ChampionDetails, GateDetails
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.secrets_masking import masked

FORCED, APPROVED, REJECTED, UNANSWERED, WAITS = "by hand", "approved", "rejected", "no answer", "waits"
"""Words for what became of a candidate beside those of the gate: accepted, refused and kept."""


class DayDecision(NamedTuple):
    """A word, empty before the gate has run, and who decided what and why, empty where no person had a part in it."""

    word: str = ""
    told: str = ""


def day_decision(gate: Partition[GateDetails] | None, champion: Partition[ChampionDetails] | None) -> DayDecision:
    """What was decided on a day; a person's word goes before the gate's."""
    chosen = None if champion is None else champion.details
    if chosen is not None and chosen.decision == "override":
        told = f"the model of {chosen.pointer.model_day} was put in force by {chosen.by or 'a person'}{_when(chosen)}"
        return DayDecision(FORCED, masked(f"{told}: {chosen.reason}"))
    if gate is None:
        return DayDecision()
    if gate.kept is not None or not gate.details.accepted:
        return DayDecision("refused" if gate.kept is None else "kept")
    return _of_a_person(chosen) if gate.details.asks else DayDecision("accepted")


def _of_a_person(chosen: ChampionDetails | None) -> DayDecision:
    """The answer about a candidate that the gate accepted and asked about."""
    if chosen is None:
        return DayDecision(WAITS, "a person is asked about the candidate")
    if not chosen.by_hand:
        return DayDecision(WAITS, chosen.reason)
    word = APPROVED if chosen.decision == "promoted" else UNANSWERED if chosen.by is None else REJECTED
    return DayDecision(word, masked(f"{chosen.reason}{_when(chosen)}"))


def _when(chosen: ChampionDetails) -> str:
    return f" ({chosen.at})" if chosen.at else ""
