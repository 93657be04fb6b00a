"""The question that a person is asked about a candidate, and the answer as it is recorded."""

import datetime
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobs.running import Build, Outcome, Work, run_step
from jobs.signature import Signature, refusal
from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.details import ApprovalDetails, GateDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import mending_command, step
from pnn_gluon.pipeline.tables import APPROVAL_FILE, APPROVALS, BUNDLES, GATES, OVERRIDES
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.report.day_report import METRIC_FORMATS, metric_text
from pnn_gluon.report.decision import decision_lines

log = logging.getLogger(__name__)

SHOWN = ("served_auc", "log_loss", "normalized_entropy", "pcoc")
"""Numbers of a question, of candidate and champion."""
SHOWN_RULES = 12
"""Of the gate, in a question; slices stand behind the others, the worst first."""


class Question(NamedTuple):
    """Whether a person is to be asked about a candidate, by the run of its bundle, and what; or why nobody is."""

    waits: bool
    candidate: str
    words: str
    subject: str = ""
    body: str = ""


def question(config: Config, day: datetime.date) -> Question:
    """The question of a day: it waits until there is an answer about exactly this candidate.

    Raises:
        InputError: there is no gate or bundle of the day; with the command that makes it.
    """
    reading = Reading(config, open_store(config), day)
    gate, bundle = reading.need(GATES, day).details, reading.need(BUNDLES, day)
    override, answer = reading.maybe(OVERRIDES, day), reading.maybe(APPROVALS, day)
    if (words := _unasked(gate)) is not None:
        return Question(False, bundle.run, words)
    if override is not None and override.details.to is not None:
        return Question(False, bundle.run, f"a person put the model of {override.details.to} in force")
    if answer is not None and answer.details.candidate == bundle.run:
        return Question(False, bundle.run, f"answered already: {answer.details.reason}")
    words = f"may the model of {day} be promoted? {gate.why_asked}"
    return Question(True, bundle.run, words, f"{config.name}: promote the model of {day}?", _body(config, gate))


def _unasked(gate: GateDetails) -> str | None:
    """Why nobody is asked about a candidate; None if somebody is."""
    if not gate.accepted:
        return f"the gate refused: {'; '.join(gate.reasons)}"
    return None if gate.asks else f"nobody is asked: {gate.why_asked or 'gate.approval is never'}"


def _body(config: Config, gate: GateDetails) -> str:
    """The decision in words, as Markdown."""
    measures, hours = gate.measures, config.approval.hours
    rows = f"{measures['rows']:,} rows that it was not trained on"
    return "\n".join(
        [
            f"The gate accepted the candidate on {rows}: {gate.why_asked}.",
            "",
            *_compared(measures),
            "",
            *(f"- {_as_text(line)}" for line in decision_lines(measures)[:SHOWN_RULES]),
            "",
            f"*Approve* puts the candidate in force, *Reject* keeps the model that is. Without an answer within "
            f"{hours:g} h that model stays, too. Scores go out in every case.",
        ]
    )


def _as_text(line: str) -> str:
    """One line that Markdown shows as it is: the values of a slice come from the logs."""
    return re.sub(r"([\\`*_\[\]<>|~!])", r"\\\1", " ".join(line.split()))


def _compared(measures: Mapping[str, Any]) -> list[str]:
    """The numbers of the candidate beside those of the model in force, if there is one."""
    sides = {"candidate": measures["candidate"], "model in force": measures.get("champion")}
    there = {name: summary for name, summary in sides.items() if summary is not None}
    lines = [f"| | {' | '.join(there)} |", "| --- |" + " --- |" * len(there)]
    for name in SHOWN:
        heading, form = METRIC_FORMATS[name]
        lines.append(f"| {heading} | {' | '.join(metric_text(each[name], form) for each in there.values())} |")
    return lines


class Answer(NamedTuple):
    """An answer; `candidate` is the one that was asked about, by the run of its bundle, None for the present one."""

    approved: bool
    reason: str
    signature: Signature
    candidate: str | None = None
    other_name: str | None = None


def record(config: Config, day: datetime.date, answer: Answer) -> Outcome:
    """Record an answer, which promote reads; one by nobody, after the time to answer, replaces none by a person.

    Raises:
        ConfigError: nobody is asked about the candidate, or this person may not decide.
        InputError: the gate judged another candidate, or it is another one that was asked about.
    """
    by = answer.signature.by
    if by is not None and (refused := refusal(config, by, answer.other_name)) is not None:
        raise ConfigError(refused)
    return run_step(step("approve"), config, day, force=True, wait=True, work=Work(_recording(config, answer)))


def _recording(config: Config, answer: Answer) -> Build:
    """What the step does: write the answer down."""

    def build(inputs: Inputs, folder: Path) -> Built:
        candidate = _candidate(config, inputs, answer)
        details = _standing(inputs, candidate) if answer.signature.by is None else None
        if details is None:
            by, at = answer.signature
            details = ApprovalDetails(
                candidate=candidate, approved=answer.approved, reason=answer.reason, by=by, at=str(at)
            )
        (folder / APPROVAL_FILE).write_text(json.dumps(details.to_json(), indent=1, sort_keys=True) + "\n")
        word = "approved" if details.approved else "rejected" if details.by else "not answered"
        log.info("approve %s: the candidate is %s: %s", inputs.day, word, details.reason)
        return Built(1, details)

    return build


def _candidate(config: Config, inputs: Inputs, answer: Answer) -> str:
    """The candidate that the gate judged and the answer is about."""
    gate, bundle = inputs[Need(GATES)], inputs[Need(BUNDLES)]
    if (words := _unasked(gate.details)) is not None:
        raise ConfigError(f"no answer about the candidate of {inputs.day} is asked for: {words}")
    if gate.manifest.inputs.get(bundle.name) != bundle.run:
        again = mending_command(GATES.name, inputs.day, config.path).removesuffix(" --force")
        raise InputError(
            f"the gate of {inputs.day} judged another candidate than there is now; judge this one: {again}"
        )
    if answer.candidate not in {None, bundle.run}:
        raise InputError(
            f"the candidate of {inputs.day} was made again since you were asked ({answer.candidate} -> {bundle.run}): "
            "look at the new one, then answer again"
        )
    return bundle.run


def _standing(inputs: Inputs, candidate: str) -> ApprovalDetails | None:
    """A person's answer about this candidate that was recorded before."""
    manifest = inputs.store.manifest(APPROVALS.name, inputs.day)
    if manifest is None:
        return None
    details = ApprovalDetails.from_json(manifest.details)
    return details if details.candidate == candidate and details.by is not None else None
