"""The pages: days, the plan of a backfill, reports, what a task made. Nothing is answered without a right to it."""

import datetime
import html
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.models import DagModel
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from jobs.airflow.plugin.pipelines import DAILY, Pipelines, pipelines
from jobs.airflow.plugin.plan import plan
from jobs.airflow.plugin.reader import NoAnswerError, Reader
from jobs.airflow.plugin.runs import Dag, newest_run, read_dag, run_day
from pnn_gluon.config import Config
from pnn_gluon.days import parse_day, plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.pools import pools_of

READ = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
"""The right to read the runs of the DAG in the path."""
START = Depends(requires_access_dag("POST", DagAccessEntity.RUN))
"""The right to start runs of the DAG in the path."""
LOGGED_IN = Depends(get_user)
"""For what holds no data."""

KEPT_REPORTS = 8
REPORT_DAYS = 14

_COMMON = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_FILE_HEADERS = _COMMON | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
}
_REPORT_HEADERS = _COMMON | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
}
_FILES = {
    "page": ("page.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}
_STEPS = {step.name for step in STEPS}


def app_of(configs: Path) -> FastAPI:
    """The application for the pipelines of a folder of configuration files, or of a single one."""
    pages = Pages(configs)
    app = FastAPI(title="pnn_gluon", docs_url=None, redoc_url=None, openapi_url=None)  # these would need no right
    app.add_api_route("/pipelines", pages.pipelines)
    app.add_api_route("/dags/{dag_id}/days", pages.days, dependencies=[READ])
    app.add_api_route("/dags/{dag_id}/report", pages.report, dependencies=[READ], response_class=HTMLResponse)
    app.add_api_route("/dags/{dag_id}/made/{task_id}", pages.made, dependencies=[READ], response_class=HTMLResponse)
    app.add_api_route("/dags/{dag_id}/plan", pages.plan, dependencies=[START], methods=["POST"])
    app.add_api_route("/{name}", pages.file, dependencies=[LOGGED_IN])
    return app


class Pages:
    """What is answered; `configs` is the only place that pipelines come from."""

    def __init__(self, configs: Path) -> None:
        self._configs = configs
        self._reader = Reader()
        self._reports: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()

    async def file(self, name: str) -> Response:
        """A file of the page."""
        if name not in _FILES:
            raise HTTPException(404, "no such page")
        file, kind = _FILES[name]
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        return Response(text, media_type=kind, headers=_FILE_HEADERS)

    async def pipelines(self, user: GetUserDep) -> dict[str, Any]:
        """The pipelines that the user may read, with their daily DAGs."""
        found = await self._pipelines()
        names = [name for name in sorted(found.known) if await run_in_threadpool(_may, user, "GET", name + DAILY)]
        return {"pipelines": [{"name": name, "dag_id": name + DAILY} for name in names], "broken": found.broken}

    async def days(
        self, dag_id: str, user: GetUserDep, first: str | None = None, last: str | None = None
    ) -> JSONResponse:
        """Days by steps of a pipeline, with the runs that Airflow has of them."""
        shown, dag = await self._look(dag_id, first, last)
        may_start = await run_in_threadpool(_may, user, "POST", dag_id)
        return JSONResponse({**shown, "dag_id": dag_id, "dag": _told(dag), "may_start": may_start}, headers=_COMMON)

    async def plan(self, dag_id: str, first: str, last: str) -> JSONResponse:
        """The calls that run exactly those days of a range that are stale, missing or failed."""
        shown, dag = await self._look(dag_id, first, last)
        if dag is None:
            raise HTTPException(409, f"Airflow has not loaded {dag_id}: see its import errors")
        made = plan(dag_id, dag, {parse_day(day["day"]) for day in shown["days"] if day["unwell"]})
        calls = [call._asdict() for call in made.calls]
        return JSONResponse(
            {"days": [str(day) for day in made.days], "calls": calls, "notes": list(made.notes)}, headers=_COMMON
        )

    async def report(
        self, dag_id: str, run: str | None = None, first: str | None = None, last: str | None = None
    ) -> HTMLResponse:
        """The report of a range of days; of a run, of the two weeks that end with its day."""
        config = (await self._pipelines()).of_dag(dag_id)
        if config is None:
            return _words(404, f"{dag_id} is no DAG of a pipeline that is known here")
        begin, end = _day(first), _day(last)
        if run is not None:
            end = await run_in_threadpool(_run_day, dag_id, run)
            if end is None:
                return _words(404, f"{dag_id} has no run of a day that is named so")
            begin = plus(end, 1 - REPORT_DAYS)
        try:
            page = await self._report(config, begin, end)
        except NoAnswerError as error:
            return _words(error.status, str(error))
        return HTMLResponse(page, headers=_REPORT_HEADERS)

    async def made(self, dag_id: str, task_id: str, run: str) -> HTMLResponse:
        """What the step of a task made of the day of a run."""
        config = (await self._pipelines()).of_dag(dag_id)
        day = await run_in_threadpool(_run_day, dag_id, run) if config else None
        if config is None or day is None or task_id not in _STEPS:
            return _words(
                404, f"{dag_id} is no DAG that is known here, or has no such step, or no run of a day so named"
            )
        try:
            found = await self._reader.ask("made", config.path, _today(), step=task_id, run=day)
        except NoAnswerError as error:
            return _words(error.status, str(error))
        return HTMLResponse(found["html"], headers=_REPORT_HEADERS)

    async def _report(self, config: Config, first: datetime.date | None, last: datetime.date | None) -> str:
        """A report, made anew only when what it shows is no longer what it was made from."""
        key = (str(config.path), str(first), str(last))
        name, page = self._reports.get(key, (None, ""))
        found = await self._reader.ask("report", config.path, _today(), first=first, last=last, known=name)
        page = found["html"] or page  # none for the report that is known
        self._reports[key] = (found["name"], page)
        self._reports.move_to_end(key)
        while len(self._reports) > KEPT_REPORTS:
            self._reports.popitem(last=False)
        return page

    async def _look(self, dag_id: str, first: str | None, last: str | None) -> tuple[dict[str, Any], Dag | None]:
        """What the store and what Airflow say of the days of a daily DAG."""
        config = (await self._pipelines()).of_daily(dag_id)
        if config is None:
            raise HTTPException(404, f"{dag_id} is no daily DAG of a pipeline that is known here")
        begin, end = _day(first), _day(last)
        run = None if end else await run_in_threadpool(_newest_run, dag_id)
        try:
            shown = await self._reader.ask("days", config.path, _today(), first=begin, last=end, run=run)
        except NoAnswerError as error:
            raise HTTPException(error.status, str(error)) from error
        return shown, await run_in_threadpool(_read_dag, dag_id, config, shown["days"])

    async def _pipelines(self) -> Pipelines:
        try:
            return await run_in_threadpool(pipelines, self._configs)
        except ConfigError as error:
            raise HTTPException(404, str(error)) from error


def _today() -> datetime.date:
    """The day that is not over: a person who looks wants to know how things stand now."""
    return datetime.datetime.now(datetime.UTC).date()


def _day(text: str | None) -> datetime.date | None:
    """A day as it was asked for; none, too, for an empty field of the form."""
    try:
        return parse_day(text) if text else None
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error


def _may(user: Any, method: Any, dag_id: str) -> bool:
    """Whether a user may read, or start, the runs of a DAG."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(
            method=method, access_entity=DagAccessEntity.RUN, details=details, user=user
        )
    )


def _read_dag(dag_id: str, config: Config, days: list[Mapping[str, Any]]) -> Dag | None:
    first, last = (parse_day(days[at]["day"]) if days else datetime.date.min for at in (0, -1))
    with create_session() as session:
        return read_dag(session, dag_id, pools_of(config), first, last)


def _newest_run(dag_id: str) -> datetime.date | None:
    with create_session() as session:
        return newest_run(session, dag_id)


def _run_day(dag_id: str, run_id: str) -> datetime.date | None:
    with create_session() as session:
        return run_day(session, dag_id, run_id)


def _told(dag: Dag | None) -> dict[str, Any] | None:
    """A DAG as JSON has it."""
    if dag is None:
        return None
    runs = {str(day): {"run_id": run.run_id, "state": run.state, "hangs": run.hangs} for day, run in dag.runs.items()}
    return {"paused": dag.paused, "missing_pools": list(dag.missing_pools), "runs": runs}


def _words(status: int, text: str) -> HTMLResponse:
    """Some words in place of a report."""
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Report</title><p>{html.escape(text)}</p></html>'
    )
    return HTMLResponse(page, status_code=status, headers=_REPORT_HEADERS)
