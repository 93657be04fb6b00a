"""The operator of every task of ours: it ends as the job ended, and says in the job's own words why."""

import json
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook, SubprocessResult
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pnn_gluon_notice import notify
from pnn_gluon_scores import scores_uri
from pnn_gluon_waiting import PATIENCE, look_again, pause, unsettled

from pnn_gluon.config import NoticesConfig
from pnn_gluon.signals import death_by_signal

USAGE, INPUT, REFUSED = 2, 3, 4
"""Exit statuses of a job with a meaning of their own: another try would not help, or the champion stays."""

KEPT_LINES = 200
NOBODY = NoticesConfig()


class _Listening(SubprocessHook):  # type: ignore[misc]
    """A subprocess whose last lines are kept, not the very last one only."""

    def __init__(self) -> None:
        super().__init__()
        self.said: deque[str] = deque(maxlen=KEPT_LINES)

    def run_command(
        self,
        command: list[str],
        env: dict[str, str] | None = None,
        output_encoding: str = "utf-8",
        cwd: str | None = None,
    ) -> SubprocessResult:
        """Run the command in a session of its own; every line goes to the task's log as it comes.

        A run without Airflow's own logs, such as the demo's, names a file for them in PNN_GLUON_TASK_LOG.
        Nothing waits for the process when the task is interrupted: Airflow then calls on_kill, which ends it.
        """
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, env=env, start_new_session=True
        )
        self.sub_process = process
        assert process.stdout is not None
        with open(os.environ.get("PNN_GLUON_TASK_LOG") or os.devnull, "ab", buffering=0) as copy:
            for raw in process.stdout:
                copy.write(raw)
                line = raw.decode(output_encoding, errors="backslashreplace").rstrip()
                self.said.append(line)
                self.log.info("%s", line)
        status = process.wait()
        self.log.info("The job ended with status %s", status)
        return SubprocessResult(exit_code=status, output=self.said[-1] if self.said else "")


class JobOperator(BashOperator):  # type: ignore[misc]
    """A job of ours as a task; the JSON object in its last line is the task's XCom, also when it was refused.

    Its outlets are told the day, as their partition. Status 4 (refused, kept) skips the task with the reason. Statuses
    2 (usage, configuration) and 3 (input) fail it at once, since another try would end the same way; anything else, a
    signal too, fails this try.
    """

    def __init__(
        self,
        *,
        scores_connection: str = "",
        waits: Mapping[str, int] | None = None,
        notices: NoticesConfig = NOBODY,
        **options: Any,
    ) -> None:
        """A job as a task.

        Args:
            scores_connection: The id of the Airflow connection whose URI the job gets; "" for none.
            waits: By the id of another task, for how many days before its end is waited first.
            notices: Who is told what was refused or fell back.
            options: Those of BashOperator.
        """
        super().__init__(**options)
        self.scores_connection = scores_connection
        self.waits = dict(waits or {})
        self.notices = notices

    def get_env(self, context: Any) -> dict[str, str]:
        """The job's environment: what the task shows, and what is put in only now, so that nothing shows it."""
        shown: dict[str, str] = super().get_env(context)
        return shown | scores_uri(self.scores_connection) if self.scores_connection else shown

    def execute(self, context: Any) -> Any:
        """Wait for tasks of earlier days, without a worker's slot, then run the job; how it ended is the task's state.

        Raises:
            AirflowSkipException: for a refused or kept day.
            AirflowFailException: for an error that only a person can mend.
            AirflowException: for any other error.
        """
        return self.go_on(context)

    def go_on(self, context: Any, event: Any = None, looks: int = 0, since: str | None = None) -> Any:
        """Look whether what is waited for has ended; run the job then, or when that took too long.

        The job knows best whether what it reads is there.
        """
        now = datetime.now(UTC)
        began = now if since is None else datetime.fromisoformat(since)
        late = unsettled(context, self.waits)
        if late and now - began < PATIENCE:
            self.log.info("waiting until %s has ended", late)
            again = {"looks": looks + 1, "since": began.isoformat()}
            self.defer(trigger=TimeDeltaTrigger(pause(look_again(looks))), method_name="go_on", kwargs=again)
        if late:
            self.log.warning("%s has not ended within %s: going on without it", late, PATIENCE)
        return self._run(context)

    def _run(self, context: Any) -> Any:
        hook = _Listening()
        self.__dict__["subprocess_hook"] = hook  # the one that on_kill ends
        result = hook.run_command(["bash", "-c", self.bash_command], self.get_env(context), cwd=self.cwd)
        if result.exit_code == 0:
            outcome: dict[str, Any] = json.loads(result.output)
            if fallback := _fallback(outcome):
                notify(self.notices, "fallback", context, fallback)
            for asset in self.outlets:
                context["outlet_events"][asset].add_partitions(outcome["day"])
            return outcome
        if result.exit_code == REFUSED:
            self.refused(json.loads(result.output), context)
        text = failure(self.task_id, result.exit_code, list(hook.said))
        raise (AirflowFailException if result.exit_code in {USAGE, INPUT} else AirflowException)(text)

    def refused(self, outcome: dict[str, Any], context: Any) -> None:
        """What becomes of the task when its job ended with status 4.

        Raises:
            AirflowSkipException: with the reason; the outcome is kept.
        """
        context["ti"].xcom_push(key="return_value", value=outcome)
        notify(self.notices, "refused", context, reason(outcome))
        raise AirflowSkipException(reason(outcome))


def _fallback(outcome: dict[str, Any]) -> str:
    """Why new scores are those of an older model; "" for any other outcome."""
    details = outcome.get("details", {})
    made = outcome.get("status") == "done" and details.get("fallback")
    return f"scores of {details['score_day']} by the model of {details['model_day']}: {details['why']}" if made else ""


def reason(outcome: dict[str, Any]) -> str:
    """Why a day was refused or kept: what its details say."""
    details = outcome.get("details", {})
    found = details.get("kept") or details.get("reasons") or "see the task's XCom"
    words = "; ".join(map(str, found)) if isinstance(found, list) else str(found)
    return f"{outcome['step']} {outcome['day']} {outcome['status']}: {words}"


def failure(step: str, status: int, said: Sequence[str]) -> str:
    """What went wrong: the job's own error with all its lines, or else the end of what it said."""
    number = -status if status < 0 else status - 128
    if number in set(signal.Signals):
        return "\n".join([death_by_signal(step, number), *said[-5:]])
    starts = [at for at, line in enumerate(said) if re.match(r"(error: |Traceback \(most recent call last\))", line)]
    lines = said[starts[-1] :] if starts else said[-15:]
    return "\n".join(lines).removeprefix("error: ") or f"{step} ended with status {status} and said nothing"
