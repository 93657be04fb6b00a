"""The task that tells MLflow and OpenLineage of a day after all others: no run ends otherwise because of it."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from airflow.sdk import DAG, Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from airflow.sdk.log import mask_secret
from pnn_gluon_docs import tracking_doc
from pnn_gluon_job import JobOperator
from pnn_gluon_tasks import job

from pnn_gluon.config import Config, TrackingConfig
from pnn_gluon.secrets_masking import secret_forms

COMMAND = 'track --day "$PNN_GLUON_DAY"'
LONGEST = timedelta(minutes=15)
"""A day is told in seconds; a tracker that answers slowly holds up nothing but this task."""

VARIABLES = {"mlflow": "PNN_GLUON_MLFLOW_URI", "openlineage": "PNN_GLUON_OPENLINEAGE_URL"}
"""By tracker, where the job finds the URL of a connection, as `pnn_gluon.tracking.address` has it."""


class TrackOperator(JobOperator):
    """`pnn-gluon track`, with the URLs of connections in its environment alone."""

    def __init__(self, *, tracking: TrackingConfig, **options: Any) -> None:
        """`tracking` names the connections."""
        super().__init__(**options)
        self.tracking = tracking

    def get_env(self, context: Any) -> dict[str, str]:
        """The job's environment."""
        shown: dict[str, str] = super().get_env(context)
        return shown | tracker_urls(self.tracking)


def tracker_urls(tracking: TrackingConfig) -> dict[str, str]:
    """The variables in which the job gets the URLs of Airflow connections, masked in logs in every spelling.

    Raises:
        AirflowFailException: there is no connection of a name.
    """
    found: dict[str, str] = {}
    for tracker, variable in VARIABLES.items():
        kind, _, name = (getattr(tracking, tracker) or "").partition(":")
        if kind == "connection":
            found[variable] = _url(tracker, name)
            for form in secret_forms(found[variable]):
                mask_secret(form)
    return found


def _url(tracker: str, name: str) -> str:
    try:
        connection = Connection.get(name)
    except AirflowNotFoundException as error:
        raise AirflowFailException(
            f"tracking.{tracker} names the Airflow connection {name}, which does not exist: add it or name another"
        ) from error
    host = connection.host or ""
    port = f":{connection.port}" if connection.port else ""
    url = urlsplit(host if "://" in host else f"{connection.schema or 'https'}://{host}{port}")
    login = f"{quote(connection.login or '', safe='')}:{quote(connection.password or '', safe='')}@"
    return urlunsplit(url._replace(netloc=f"{login if connection.password else ''}{url.netloc}"))


def track_after(dag: DAG, config: Config, day: dict[str, str]) -> None:
    """Add the task to a DAG, where anybody is to be told, after all that has nothing after it.

    It is a teardown for Airflow, which looks past such tasks for how a run ended.
    """
    if not config.tracking.anybody:
        return
    last = list(dag.leaves)
    with dag:
        task = job(
            "track",
            config,
            COMMAND,
            day,
            operator=TrackOperator,
            tracking=config.tracking,
            doc_md=tracking_doc(config),
            execution_timeout=LONGEST,
        )
    last >> task.as_teardown()
