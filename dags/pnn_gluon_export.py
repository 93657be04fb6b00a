"""The export form of a pipeline: chosen days scored by a chosen model, when somebody asks for it."""

from typing import Any

from airflow.sdk import DAG, Param
from pnn_gluon_docs import documented
from pnn_gluon_job import JobOperator
from pnn_gluon_tasks import defaults, job

from pnn_gluon.config import Config
from pnn_gluon.pipeline.exports import CHAMPION, FORMATS, KINDS, MOST_DAYS, NAME, PRECISIONS, sliceable

EXPORT = """By hand: chosen days scored by a chosen model, into a table of their own.

The form checks what it can, the job all of it, and refuses in plain words what cannot be done. The result is
`exports_<name>` in the store, with an `export.json` a day; with the format *table* it is on the score server too. The
last line of the job, its XCom, tells of every day its rows and its model. A run in which no day could be scored is
skipped, with the reasons.
"""

COMMAND = (
    'export --days "$PNN_GLUON_EXPORT_FIRST..$PNN_GLUON_EXPORT_LAST" --model "$PNN_GLUON_EXPORT_MODEL"'
    ' --name "$PNN_GLUON_EXPORT_NAME" --rows "$PNN_GLUON_EXPORT_ROWS" --slice "$PNN_GLUON_EXPORT_SLICE"'
    ' --format "$PNN_GLUON_EXPORT_FORMAT" --precision "$PNN_GLUON_EXPORT_PRECISION"'
)

ENVIRONMENT = {
    "PNN_GLUON_EXPORT_FIRST": "{{ params.first_day }}",
    "PNN_GLUON_EXPORT_LAST": "{{ params.last_day }}",
    "PNN_GLUON_EXPORT_MODEL": "{{ params.model }}",
    "PNN_GLUON_EXPORT_NAME": "{{ params.name }}",
    "PNN_GLUON_EXPORT_ROWS": "{{ params.rows }}",
    "PNN_GLUON_EXPORT_SLICE": "{{ params.slice or '' }}",
    "PNN_GLUON_EXPORT_FORMAT": "{{ params.format }}",
    "PNN_GLUON_EXPORT_PRECISION": "{{ params.precision }}",
}

END = r"$(?!\n)"
"""The end of a text; $ alone is before a last line break too, for those who check the form on the server."""

VALUE = r" *=[^\u0000-\u001f\u007f]*"
"""After the field of a slice: anything but control characters."""


class ExportOperator(JobOperator):
    """The job of an export, which gets the URI of the score server where it has to write there."""

    def get_env(self, context: Any) -> dict[str, str]:
        """The job's environment."""
        if context["params"]["format"] != "table":
            self.scores_connection = ""
        return super().get_env(context)


def export_dag(config: Config) -> DAG:
    """The export form of a pipeline."""
    with DAG(
        f"{config.name}_export",
        schedule=None,
        catchup=False,
        default_args=defaults(config),
        tags=["pnn_gluon", config.name],
        doc_md=documented(EXPORT, config),
        params=_days_and_model(config) | _choices(config),
    ) as dag:
        job("export", config, COMMAND, ENVIRONMENT, scores=True, operator=ExportOperator)
    return dag


def _days_and_model(config: Config) -> dict[str, Param]:
    """The first half of what is asked before an export; the job checks it again."""
    first = config.first_day.isoformat()
    day: dict[str, Any] = {"type": "string", "format": "date"}
    return {
        "first_day": Param(first, title="First day", description="First day to score.", **day),
        "last_day": Param(
            first, title="Last day", description=f"Last day to score, not before the first; at most {MOST_DAYS}.", **day
        ),
        "model": Param(
            CHAMPION,
            title="Model",
            type="string",
            pattern=rf"^({CHAMPION}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){END}",
            description=f"{CHAMPION}: the model in force on each day. Or the day of a model, such as {first}.",
        ),
        "rows": Param(KINDS[0], title="Rows", enum=list(KINDS), type="string", description="What to score."),
    }


def _choices(config: Config) -> dict[str, Param]:
    """The second half."""
    fields = sliceable(config, "logs")
    return {
        "slice": Param(
            None,
            title="Slice",
            type=["null", "string"],
            maxLength=1000,
            pattern=rf"^ *(({'|'.join(fields)}){VALUE})?{END}",
            description=f"field = value: only rows with that value; empty for all. The fields: {', '.join(fields)}.",
        ),
        "format": Param(
            FORMATS[0],
            title="Format",
            enum=list(FORMATS),
            type="string",
            description=f"Files in the store; table: {config.publish.table}_<name> on the score server besides.",
        ),
        "precision": Param(
            PRECISIONS[0],
            title="Precision",
            enum=list(PRECISIONS),
            type="string",
            description="Of logit and probability; a number means so many significant digits.",
        ),
        "name": Param(
            "by_hand",
            title="Name",
            type="string",
            pattern=f"^{NAME}{END}",
            description="Lower-case letters, digits and _; the table is exports_<name>.",
        ),
    }
