"""A person's answer about a candidate: an input like any other, about exactly that candidate, and shown everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.approval import Answer, question, record
from jobs.commands import approve
from jobs.commands.days import command as days_command
from jobs.commands.rollback import roll_back
from jobs.commands.status import print_status
from jobs.day_overview import overview
from jobs.day_reports import day_reports, html_of, made_from
from jobs.running import run_step
from jobs.signature import Signature, moment, reasoned, signed
from pnn_gluon.config import ApprovalConfig, Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import step
from tests.jobs.odd_days import PIPELINE, day, lines, odd_pipeline, with_own_table, write
from tests.jobs.test_odd_days import STEPS, made, run

ASKED = {"bootstrap_repeats = 10": 'bootstrap_repeats = 10\napproval = "always"'}
AT = "2026-11-03T07:30:00+00:00"
OTTO = Signature("otto", AT)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two days of which the first was approved and the second waits; read only."""
    config = odd_pipeline(tmp_path_factory.mktemp("asked"), 2, ASKED)
    for number in (1, 2):
        run(config, number, STEPS[: STEPS.index("gate") + 1])
        if number == 1:
            record(config, day(1), Answer(True, "the first", OTTO))
        run(config, number, STEPS[STEPS.index("promote") :])
    return config


@pytest.fixture
def asked(two_days: Config, tmp_path: Path) -> Config:
    """A copy that a test may change."""
    shutil.copytree(two_days.path.parent, tmp_path / "asked")
    return with_own_table(tmp_path / "asked")


def champion(config: Config, number: int = 2) -> dict[str, Any]:
    return dict(run_step(step("promote"), config, day(number)).details)


def decided(config: Config, number: int = 2) -> tuple[str, str, str]:
    found = champion(config, number)
    return found["decision"], found["model_day"], found["reason"]


def command(config: Config, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pnn-gluon approve` as a shell would start it."""
    given = [sys.executable, "-m", "jobs", "approve", "--config", str(config.path), "--day", str(day(2)), *arguments]
    return subprocess.run(given, capture_output=True, text=True, check=False, env=os.environ | {"LOGNAME": "shelly"})


def test_without_an_answer_the_champion_stays_scores_go_out_and_the_command_is_named(asked: Config) -> None:
    command_line = f"pnn-gluon approve --day {day(2)} --reason ..."
    assert decided(asked) == ("kept", str(day(1)), f"waits for approval: {command_line}")
    scores = made(asked, "scores", 2)
    assert scores.details["model_day"] == str(day(1))
    assert "fallback" not in scores.details


def test_an_approved_candidate_is_promoted_with_who_and_when(asked: Config) -> None:
    record(asked, day(2), Answer(True, "looks fine", OTTO))
    assert decided(asked) == ("promoted", str(day(2)), "accepted by the gate, approved by otto: looks fine")
    found = champion(asked)
    assert (found["by"], found["at"]) == ("otto", AT)


def test_a_rejected_candidate_leaves_the_champion_in_force(asked: Config) -> None:
    record(asked, day(2), Answer(False, "too bold", OTTO))
    assert decided(asked) == ("kept", str(day(1)), "rejected by otto: too bold")


def test_after_the_time_to_answer_nobody_stands_as_the_one_who_decided(asked: Config) -> None:
    assert command(asked, "--nobody", "--at", AT).returncode == 0
    assert decided(asked) == ("kept", str(day(1)), "nobody answered within 6 h")
    found = champion(asked)
    assert ("by" in found, found["at"]) == (False, AT)
    assert made(asked, "approvals", 2).details["by"] is None


def test_nobody_does_not_replace_what_a_person_answered_in_the_meantime(asked: Config) -> None:
    record(asked, day(2), Answer(True, "in time", OTTO))
    record(asked, day(2), Answer(False, "nobody answered", Signature(None, moment(None))))
    assert decided(asked)[0] == "promoted"
    record(asked, day(2), Answer(False, "after all", Signature("ann", AT)))
    assert decided(asked)[2] == "rejected by ann: after all"


def test_a_late_approval_makes_the_day_stale_and_a_rerun_takes_the_candidate(asked: Config) -> None:
    record(asked, day(2), Answer(True, "late", OTTO))
    words = {name: state.word for name, state in day_states(asked, [day(2)])[day(2)].items()}
    assert (words["gate"], words["promote"], words["score"]) == ("done", "stale", "stale")
    run(asked, 2)
    assert made(asked, "scores", 2).details["model_day"] == str(day(2))
    told = made(asked, "scores", 2).details["decided"]
    assert told == {
        "decision": "promoted",
        "reason": "accepted by the gate, approved by otto: late",
        "by": "otto",
        "at": AT,
    }


def test_a_rebuilt_day_decides_the_same_again_and_asks_nobody(asked: Config) -> None:
    record(asked, day(2), Answer(False, "no", OTTO))
    run(asked, 2)
    before = {table: made(asked, table, 2).run for table in ("bundles", "gates", "champions", "scores")}
    for name in STEPS:
        run_step(step(name), asked, day(2), force=True)
    assert {table: made(asked, table, 2).run for table in before} == before
    assert not question(asked, day(2)).waits


def test_an_approval_of_another_candidate_is_not_taken(asked: Config) -> None:
    record(asked, day(2), Answer(True, "that one", OTTO))
    write(asked, "logs", 2, lines(77, 300))
    run(asked, 2)
    assert decided(asked)[2].startswith("waits for approval")
    assert question(asked, day(2)).waits


def test_an_answer_about_a_candidate_that_was_made_again_since_does_not_count(asked: Config) -> None:
    old = question(asked, day(2)).candidate
    write(asked, "logs", 2, lines(77, 300))
    run(asked, 2)
    with pytest.raises(InputError, match=f"made again since you were asked \\({old} -> "):
        record(asked, day(2), Answer(True, "that one", OTTO, old))
    assert decided(asked)[2].startswith("waits for approval")


def test_an_answer_about_a_candidate_that_the_gate_has_not_judged_yet_is_refused(asked: Config) -> None:
    write(asked, "logs", 2, lines(77, 300))
    run(asked, 2, STEPS[: STEPS.index("calibrate") + 1])
    with pytest.raises(InputError, match=r"judged another candidate .* pnn-gluon step gate .*(?<!--force)$"):
        record(asked, day(2), Answer(True, "that one", OTTO))


def test_only_approvers_decide_by_name_or_id_and_a_rollback_needs_one_too(asked: Config) -> None:
    closed = asked.model_copy(update={"approval": ApprovalConfig(approvers=("ann", "id-7"))})
    words = "otto may not decide about models of odd; approval.approvers are ann, id-7"
    with pytest.raises(ConfigError, match=words):
        record(closed, day(2), Answer(True, "x", OTTO))
    with pytest.raises(ConfigError, match=words):
        list(roll_back(closed, day(2), day(1), "x", False, OTTO))
    with pytest.raises(ConfigError, match="nobody in particular may not decide"):
        list(roll_back(closed, day(2), day(1), "x", False))
    assert open_store(asked).manifest("approvals", day(2)) is None
    assert open_store(asked).manifest("overrides", day(2)) is None
    record(closed, day(2), Answer(True, "x", OTTO, other_name="id-7"))
    assert decided(closed)[0] == "promoted"


def test_the_question_has_the_numbers_and_is_answered_once(asked: Config) -> None:
    found = command(asked, "--show")
    outcome = json.loads(found.stdout)
    assert (found.returncode, outcome["status"]) == (4, "waiting")
    assert outcome["details"]["subject"] == f"odd: promote the model of {day(2)}?"
    body = outcome["details"]["body"]
    measures = made(asked, "gates", 2).details["measures"]
    assert f"{measures['champion']['served_auc']:.4f}" in body
    assert f"scores move by {100 * measures['move']['mean']:.3g} % in the mean" in body
    assert "\n- finite scores, all rows: passed: " in body
    assert "\n- new values, all rows: passed: " in body
    assert "Without an answer within 6 h" in body
    done = command(asked, "--reason", "fine", "--candidate", outcome["details"]["candidate"])
    assert (done.returncode, json.loads(done.stdout)["details"]["by"]) == (0, "shelly")
    again = command(asked, "--show")
    assert (again.returncode, json.loads(again.stdout)["details"]["reasons"]) == (0, ["answered already: fine"])


def test_nobody_is_asked_where_a_person_put_a_model_in_force_already(asked: Config) -> None:
    for outcome in roll_back(asked, day(2), day(1), "bad data", False, OTTO):
        if outcome.step == "score":
            break
    found = question(asked, day(2))
    assert (found.waits, found.words) == (False, f"a person put the model of {day(1)} in force")
    assert champion(asked)["by"] == "otto"


def test_an_answer_that_nobody_asked_for_is_refused_with_why(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    run(config, 1)
    with pytest.raises(ConfigError, match=r"is asked for: nobody is asked: gate\.approval is never"):
        record(config, day(1), Answer(True, "x", OTTO))
    assert not question(config, day(1)).waits
    assert {"asks", "why_asked"}.isdisjoint(made(config, "gates", 1).details)
    assert "approvals" not in str(dict(made(config, "champions", 1).inputs))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"reason": " "}, "say why in a few words"),
        ({"reason": "a\x1b[2Jb"}, "expected one line without control characters"),
        ({"reason": "two\nlines"}, "expected one line without control characters"),
        ({"reason": "x" * 1001}, "1,001 characters, expected at most 1,000"),
        ({"by": ""}, "nobody is named"),
        ({"by": "ot\rto"}, "expected one line without control characters"),
        ({"by": "o" * 101}, "101 characters"),
        ({"at": "noon"}, "expected a moment such as"),
        ({"at": "2026-11-03T07:30:00"}, "needs its time zone"),
        ({"nobody": True}, "nobody decides, so there is neither"),
    ],
)
def test_hostile_and_odd_answers_are_refused(asked: Config, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        approve.command(asked.path, str(day(2)), **{"reason": "x", "by": "otto", **given})
    assert open_store(asked).manifest("approvals", day(2)) is None


def test_a_reason_that_looks_like_markup_or_a_template_is_text_everywhere(
    asked: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "[red]<script>alert(1)</script> {{ 7 * 7 }} $(touch x) --reject '\""
    assert command(asked, "--reason", hostile, "--by", "--clear").returncode == 0
    run(asked, 2)
    page = html_of(asked, [day(2)])
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    print_status(asked, [day(2)])
    assert f"promote {day(2)}: accepted by the gate, approved by --clear: {hostile}" in capsys.readouterr().out


FORCED = "the model of {} was put in force by otto ({}): bad data"


def test_a_forced_day_says_so_wherever_it_said_accepted(asked: Config, capsys: pytest.CaptureFixture[str]) -> None:
    record(asked, day(2), Answer(True, "fine", OTTO))
    run(asked, 2)
    assert day_reports(asked, [day(2)])[0].gate == "approved"
    name = made_from(asked, [day(2)])
    for outcome in roll_back(asked, day(2), day(1), "bad data", False, OTTO):
        if outcome.step == "score":
            break
    told = FORCED.format(day(1), AT)
    report = day_reports(asked, [day(2)])[0]
    assert (report.gate, report.reasons) == ("by hand", [told])
    assert made_from(asked, [day(2)]) != name
    days_command(asked.path, str(day(2)))
    print_status(asked, [day(2)])
    shown = capsys.readouterr().out
    assert "accepted" not in shown
    assert f"promote {day(2)}: {told}" in shown
    on_the_page = overview(asked, [day(2)], plus(day(2), 2))["days"][0]["champion"]
    assert (on_the_page["word"], on_the_page["told"], on_the_page["by"]) == ("by hand", told, "otto")
    scores = made(asked, "scores", 2).details
    assert scores["override"] == "bad data"
    assert scores["decided"] == {"decision": "override", "reason": "bad data", "by": "otto", "at": AT}


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Answer(True, "fine", OTTO), "approved"),
        (Answer(False, "no", OTTO), "rejected"),
        (Answer(False, "nobody answered within 6 h", Signature(None, AT)), "no answer"),
        (None, "waits"),
    ],
)
def test_the_word_of_a_day_is_what_became_of_its_candidate(asked: Config, answer: Answer | None, word: str) -> None:
    if answer is not None:
        record(asked, day(2), answer)
        run(asked, 2, ("promote",))
    report = day_reports(asked, [day(2)])[0]
    assert (report.gate, len(report.reasons)) == (word, 1)
    assert overview(asked, [day(2)], plus(day(2), 2))["days"][0]["champion"]["word"] == word
    assert made(asked, "champions", 2).details["reason"] in report.reasons[0]


def test_a_day_that_waits_at_the_deadline_is_scored_by_the_champion_and_says_why(asked: Config) -> None:
    for table in ("champions", "scores"):
        (Path(asked.store_root) / table / f"ds={day(2)}.json").unlink()
    run(asked, 2, ("score",))
    told = made(asked, "scores", 2).details
    assert (told["fallback"], told["why"]) == (True, f"the candidate of {day(2)} waits for approval")


def test_scores_that_move_little_are_promoted_and_others_are_asked_about(tmp_path: Path) -> None:
    asking = 'bootstrap_repeats = 10\napproval = "when_scores_move"\napproval_p99_move = 1e9\n'
    loose_order = "approval_rank_correlation = -1.0\napproval_overlap = 0.0\napproval_mean_move = 1e9"
    loose, strict, reordered = (
        PIPELINE.replace("bootstrap_repeats = 10", asking + limits)
        for limits in (loose_order, loose_order.replace("1e9", "0.0"), loose_order.replace("-1.0", "1.0"))
    )
    config = odd_pipeline(tmp_path, 2)
    config.path.write_text(loose)
    config = with_own_table(tmp_path)
    first, second = run(config, 1), run(config, 2)
    assert first["gate"].details["why_asked"] == "no model is in force whose scores could move"
    assert [each["promote"].details["decision"] for each in (first, second)] == ["promoted", "promoted"]
    move = second["gate"].details["measures"]["move"]
    assert 0 < move["mean"] <= move["p99"]
    assert second["gate"].details["why_asked"].startswith(f"scores move by {100 * move['mean']:.3g} % (limit 1e+11 %)")
    assert -1 < move["rank_correlation"] < 1
    for text in (strict, reordered):
        config.path.write_text(text)
        config = with_own_table(tmp_path)
        again = run(config, 2, ("gate", "promote"))
        assert again["gate"].details["asks"]
        assert again["promote"].details["decision"] == "kept"


def test_limits_of_a_move_belong_to_their_own_choice(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    config.path.write_text(PIPELINE.replace("bootstrap_repeats = 10", "approval_mean_move = 0.2"))
    with pytest.raises(ConfigError, match="`approval_mean_move` belongs to approval = 'when_scores_move'"):
        load_config(config.path)
    config.path.write_text(PIPELINE + '[approval]\napprovers = ["a\\u001bb"]\n')
    with pytest.raises(ConfigError, match=r"approval\.approvers\.0: expected a name without control characters"):
        load_config(config.path)


def test_a_signature_is_of_whoever_is_logged_in_and_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "shelly")
    assert signed(None, "2026-11-03T09:30:00+02:00") == ("shelly", AT)
    assert moment(None).endswith("+00:00")
    assert reasoned("  because  ") == "because"
    assert "pw" not in reasoned("see postgresql://me:pw@host/db")
