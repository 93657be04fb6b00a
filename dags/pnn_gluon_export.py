"""The export form of a pipeline: chosen days scored by a chosen model, when somebody asks for it."""

from typing import Any

from airflow.sdk import DAG, Param
from pnn_gluon_docs import documented
from pnn_gluon_tasks import defaults, job

from pnn_gluon.config import Config

EXPORT = "By hand: score chosen days with the model of a chosen day, into a table of their own."


def export_dag(config: Config) -> DAG:
    """The export form of a pipeline."""
    with DAG(
        f"{config.name}_export",
        schedule=None,
        catchup=False,
        default_args=defaults(config),
        tags=["pnn_gluon", config.name],
        doc_md=documented(EXPORT, config),
        params=_export_form(config),
    ) as dag:
        job(
            "export",
            config,
            'export --days "$PNN_GLUON_FIRST..$PNN_GLUON_LAST" --model-day "$PNN_GLUON_MODEL"'
            ' --name "$PNN_GLUON_NAME" --rows "$PNN_GLUON_ROWS"',
            env={
                "PNN_GLUON_FIRST": "{{ params.first_day }}",
                "PNN_GLUON_LAST": "{{ params.last_day }}",
                "PNN_GLUON_MODEL": "{{ params.model_day }}",
                "PNN_GLUON_NAME": "{{ params.name }}",
                "PNN_GLUON_ROWS": "{{ params.rows }}",
            },
        )
    return dag


def _export_form(config: Config) -> dict[str, Param]:
    """What is asked before an export; the job checks it again."""
    first = config.first_day.isoformat()
    day: dict[str, Any] = {"type": "string", "format": "date"}
    return {
        "first_day": Param(first, title="First day", description="First day to score.", **day),
        "last_day": Param(first, title="Last day", description="Last day to score.", **day),
        "model_day": Param(first, title="Model", description="Day of the model to score with.", **day),
        "rows": Param("requests", title="Rows", enum=["logs", "requests"], type="string"),
        "name": Param(
            "by_hand",
            title="Name",
            type="string",
            pattern="^[a-z][a-z0-9_]{0,30}$",
            description="Lower-case letters, digits and _; the table is exports_<name>.",
        ),
    }
