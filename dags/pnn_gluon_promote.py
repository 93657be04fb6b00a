"""The form by which a person puts a model in force, or takes that back: a rollback or a forced promotion."""

from typing import Any

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException
from pnn_gluon_docs import documented
from pnn_gluon_tasks import asset, defaults, job

from pnn_gluon.config import Config

PROMOTE = """By hand: put the model of a day in force, even a refused one, score and publish again.

A rollback is the model of an earlier day, a forced promotion that of the day itself. It holds for its day: the next
candidate that is accepted takes over. Who asked for it, when and why is recorded and shown with the day; with
`approval.approvers` only these may. *Take back* lets the gate, or the answer that it asked for, decide again. A run
that is cleared does nothing: trigger the DAG again.
"""


def promote_dag(config: Config) -> DAG:
    """The form of a pipeline."""
    with DAG(
        f"{config.name}_promote",
        schedule=None,
        catchup=False,
        max_active_runs=1,
        default_args=defaults(config),
        tags=["pnn_gluon", config.name],
        doc_md=documented(PROMOTE, config),
        params=_form(),
    ) as dag:
        job(
            "promote",
            config,
            'rollback --day "$PNN_GLUON_DAY" --to "$PNN_GLUON_MODEL" ${PNN_GLUON_CLEAR:+--clear}'
            ' --reason "$PNN_GLUON_REASON" --by "$PNN_GLUON_BY"',
            env={
                "PNN_GLUON_DAY": "{{ params.day }}",
                "PNN_GLUON_MODEL": "{{ params.model or '' }}",
                "PNN_GLUON_CLEAR": "{{ 'yes' if params.take_back else '' }}",
                "PNN_GLUON_REASON": "{{ params.reason }}",
                "PNN_GLUON_BY": "{{ dag_run.triggering_user_name or '' }}",
            },
            pre_execute=_refuse_again,
            scores=True,
            outlets=[asset(config, "model"), asset(config, "scores")],
        )
    return dag


def _refuse_again(context: Any) -> None:
    """Let nobody repeat what another person decided: Airflow does not tell who clears a run.

    Raises:
        AirflowFailException: the run was cleared.
    """
    run = context["dag_run"]
    if run.clear_number:
        raise AirflowFailException(
            f"this form was sent by {run.triggering_user_name} and its run was cleared, nobody knows by whom: nothing "
            "was done; trigger the DAG again, which asks for day, model and reason"
        )


def _form() -> dict[str, Param]:
    """What is asked; the job checks it again."""
    day: dict[str, Any] = {"format": "date"}
    return {
        "day": Param(
            None,
            type="string",
            title="Day",
            description="The day whose scores are to change: usually the newest.",
            **day,
        ),
        "model": Param(
            None, type=["null", "string"], title="Model", description="The day of the model to put in force.", **day
        ),
        "take_back": Param(
            False, type="boolean", title="Take back", description="Instead: let the gate decide about the day again."
        ),
        "reason": Param(
            None,
            type="string",
            minLength=1,
            maxLength=1000,
            title="Reason",
            description="Why; recorded with your name.",
        ),
    }
