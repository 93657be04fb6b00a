"""The task that asks a person whether a candidate may be promoted, where the gate says that one is to be asked."""

import datetime
import re
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from pnn_gluon_job import JobOperator, reason
from pnn_gluon_notice import notify

from pnn_gluon.config import Config

APPROVE, REJECT = ApprovalOperator.APPROVE, ApprovalOperator.REJECT

SHOW = 'approve --day "$PNN_GLUON_DAY" --show'
"""The job that says whether a person is to be asked, and what."""

ANSWER = (
    'approve --day "$PNN_GLUON_DAY" --candidate "$PNN_GLUON_CANDIDATE" --at "$PNN_GLUON_AT"'
    ' --reason "$PNN_GLUON_REASON" --by "$PNN_GLUON_BY" --user-id "$PNN_GLUON_USER_ID" ${PNN_GLUON_REJECT:+--reject}'
)
NO_ANSWER = 'approve --day "$PNN_GLUON_DAY" --candidate "$PNN_GLUON_CANDIDATE" --at "$PNN_GLUON_AT" --nobody'
"""The jobs that record an answer, or that there was none in time."""

NO_REASON = "no reason given"


class PromotionApproval(JobOperator, HITLOperator):  # type: ignore[misc]
    """Asks, waits without a slot, and records the answer; promote decides by what is recorded, and always runs.

    Airflow's own ApprovalOperator skips what comes after it when somebody rejects; here scores go out in every case.
    """

    template_fields = JobOperator.template_fields

    def __init__(self, *, hours: float | None, approvers: tuple[str, ...], **options: Any) -> None:
        """An approval.

        Args:
            hours: How long to wait for an answer; None where there is nobody to ask.
            approvers: Ids of the users who may answer, and nobody else; all who may start runs if there are none.
            options: Those of JobOperator.
        """
        super().__init__(
            subject="May the candidate be promoted?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            params=_form(),
            assigned_users=[{"id": name, "name": name} for name in approvers] or None,
            response_timeout=datetime.timedelta(hours=hours or 1),
            **options,
        )
        self.hours = hours

    def refused(self, outcome: dict[str, Any], context: Any) -> None:
        """Ask: the question waits.

        Raises:
            TaskAwaitingInput: Airflow shows the question, and goes on with the answer, or after the time for it.
            AirflowSkipException: nobody is there to be asked.
        """
        if self.hours is None:
            raise AirflowSkipException(reason(outcome))
        asked = outcome["details"]
        self.subject, self.body = asked["subject"], f"{asked['body']}\n\n[Report]({_report(context)})"
        notify(self.notices, "approval", context, asked["words"])
        try:
            HITLOperator.execute(self, context)
        except TaskAwaitingInput as waiting:
            raise TaskAwaitingInput(
                method_name="answered", kwargs={"candidate": asked["candidate"]}, timeout=waiting.timeout
            ) from None

    def answered(self, context: Any, event: dict[str, Any], candidate: str) -> Any:
        """Record the answer about the candidate that was asked about, or that nobody gave one.

        Raises:
            AirflowSkipException: the answer does not count, and why; whoever clears this task is asked again.
        """
        who = event.get("responded_by_user")
        self.bash_command = self.bash_command.replace(SHOW, NO_ANSWER if who is None else ANSWER)
        self.env = {**(self.env or {}), "PNN_GLUON_CANDIDATE": candidate, **_answer(event)}
        try:
            return self.go_on(context)
        except AirflowFailException as error:
            notify(self.notices, "refused", context, str(error))
            raise AirflowSkipException(f"the answer does not count: {error}") from error


def _form() -> dict[str, Param]:
    """What is asked beside the answer itself; the job checks it."""
    text = "Why; recorded with your name and the time."
    return {"reason": Param("", type="string", title="Reason", description=text)}


def _answer(event: dict[str, Any]) -> dict[str, str]:
    """An answer as its job gets it."""
    who = event.get("responded_by_user") or {}
    said = (event.get("params_input") or {}).get("reason")
    return {
        "PNN_GLUON_REJECT": "" if event["chosen_options"] == [APPROVE] else "yes",
        "PNN_GLUON_BY": str(who.get("name") or who.get("id") or ""),
        "PNN_GLUON_USER_ID": str(who.get("id") or ""),
        "PNN_GLUON_AT": event["responded_at"].isoformat(),
        "PNN_GLUON_REASON": str(said or "").strip() or NO_REASON,
    }


def _report(context: Any) -> str:
    """Where the report that ends with the day of this run is shown."""
    ti = context["ti"]
    base = re.sub(r"/+$", "", conf.get("api", "base_url", fallback="") or "")
    return f"{base}/dags/{ti.dag_id}/runs/{quote(ti.run_id, safe='')}/plugin/pnn-run-report"


def may_ask(config: Config) -> bool:
    """Whether a person may be asked about candidates of a pipeline at all."""
    return config.gate.approval != "never"
