"""By hand: score chosen days with the model of a chosen day, into a table of their own."""

from airflow.sdk import Param, dag
from pnn_gluon_tasks import DEFAULTS, job, pipeline_config

config = pipeline_config()
DAY = {"type": "string", "format": "date"}


@dag(
    dag_id="ctr_export",
    schedule=None,
    catchup=False,
    default_args=DEFAULTS,
    tags=["pnn_gluon", config.name],
    doc_md=__doc__,
    params={
        "first_day": Param(config.first_day.isoformat(), title="First day", description="First day to score.", **DAY),
        "last_day": Param(config.first_day.isoformat(), title="Last day", description="Last day to score.", **DAY),
        "model_day": Param(
            config.first_day.isoformat(), title="Model", description="Day of the model to score with.", **DAY
        ),
        "rows": Param("requests", title="Rows", enum=["logs", "requests"], type="string"),
        "name": Param(
            "by_hand",
            title="Name",
            type="string",
            pattern="^[a-z][a-z0-9_]{0,30}$",
            description="Lower-case letters, digits and _; the table is exports_<name>.",
        ),
    },
)
def ctr_export() -> None:
    """Describe the export."""
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


ctr_export()
