"""What Airflow finds of the pages; it is imported in every task's process, so it imports next to nothing."""

import functools
import importlib
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/pnn_gluon"
"""Where the pages are on Airflow's server."""


class OnDemand:
    """An ASGI application that is made at its first request, which only the API server ever gets."""

    def __init__(self, configs: Path) -> None:
        self._configs = configs

    @functools.cached_property
    def _app(self) -> Any:
        return importlib.import_module("jobs.airflow.plugin.app").app_of(self._configs)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request on."""
        await self._app(scope, receive, send)


def plugin_of(configs: str) -> type[AirflowPlugin]:
    """The plugin for the pipelines of a folder of configuration files, or of a single file."""
    pages = {"app": OnDemand(Path(configs)), "url_prefix": PREFIX, "name": "pnn_gluon"}
    return type("Pages", (AirflowPlugin,), {"name": "pnn_gluon", "fastapi_apps": [pages], "external_views": _views()})


def _views() -> list[dict[str, str]]:
    """Where Airflow's user interface shows what; without a leading slash, so that a proxy's prefix stays."""
    base = PREFIX.removeprefix("/")
    page, report = f"{base}/page", f"{base}/dags/{{DAG_ID}}/report"
    return [
        {"name": "Days", "href": page, "destination": "nav", "category": "browse", "url_route": "pnn-days"},
        {
            "name": "Report",
            "href": f"{page}?view=report",
            "destination": "nav",
            "category": "browse",
            "url_route": "pnn-reports",
        },
        {"name": "Days", "href": f"{page}?dag_id={{DAG_ID}}", "destination": "dag", "url_route": "pnn-dag-days"},
        {"name": "Report", "href": report, "destination": "dag", "url_route": "pnn-dag-report"},
        {"name": "Report", "href": f"{report}?run={{RUN_ID}}", "destination": "dag_run", "url_route": "pnn-run-report"},
        {
            "name": "Report",
            "href": f"{report}?run={{RUN_ID}}",
            "destination": "task_instance",
            "url_route": "pnn-task-report",
        },
    ]
