"""Links from a task to what it made: its run in the store, its rows and rejects, the report of its day."""

from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.types import TaskInstanceKey

PAGES = "pnn_gluon"
"""Where the pages are on Airflow's server, as `jobs.airflow.plugin.entry` has it."""


class _PageLink(BaseOperatorLink):  # type: ignore[misc]
    """A page about the day of a task; `page` is filled in with its DAG, name and run."""

    page: str

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Its address on the server; without the host, by which name ever that is known to the reader."""
        base = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
        names = {"dag": ti_key.dag_id, "task": ti_key.task_id, "run": ti_key.run_id}
        return f"{base}/{PAGES}/{self.page.format_map({name: quote(text, safe='') for name, text in names.items()})}"


class RunLink(_PageLink):
    """To the run of the task in the store."""

    name = "Run in the store"
    page = "dags/{dag}/made/{task}?run={run}"


class RowsLink(_PageLink):
    """To how many rows it read and made, and what was set aside."""

    name = "Rows and rejects"
    page = "dags/{dag}/made/{task}?run={run}#rows"


class ReportLink(_PageLink):
    """To the report of the two weeks that end with the day."""

    name = "Report of the day"
    page = "dags/{dag}/report?run={run}"


LINKS = (RunLink(), RowsLink(), ReportLink())
