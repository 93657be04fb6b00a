"""The notice of a day that is not done by the deadline of its scores."""

import datetime
from typing import Any

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
from pnn_gluon_notice import message, send_from_triggerer

from pnn_gluon.config import Config, NoticesConfig
from pnn_gluon.scheduling import without_scheduler

NEWS_FOR = datetime.timedelta(hours=1)
"""After the deadline. A backfill of past days is late at once, each of them, which nobody needs to be told."""


def deadline(config: Config) -> DeadlineAlert | None:
    """What Airflow does about a day that is not done in time; None where nobody is to be told.

    Runs without a scheduler, such as the demo's, cannot have one (Airflow's issue 73428).
    """
    if not config.notices.anybody or without_scheduler():
        return None
    due = config.publish.due
    told = {"notices": config.notices.model_dump(mode="json"), "by": config.publish.deadline}
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=datetime.timedelta(days=1, hours=due.hour, minutes=due.minute),
        callback=AsyncCallback("pnn_gluon_late.tell", told),
    )


async def tell(context: dict[str, Any], notices: dict[str, Any], by: str) -> None:
    """Called in Airflow's triggerer after the deadline of a run that has not succeeded by then.

    A callback in an executor could not: Airflow 3.3.2 gives it no connections.
    """
    run, missed = context["dag_run"], context["deadline"]["deadline_time"]
    if datetime.datetime.now(datetime.UTC) - _moment(missed) > NEWS_FOR:
        return
    why = f"not done by {by} UTC: the run is {run['state']}"
    day = str(_moment(run["logical_date"]).date())
    await send_from_triggerer(NoticesConfig(**notices), message("late", run["dag_id"], "", day, run["dag_run_id"], why))


def _moment(given: Any) -> datetime.datetime:
    """A moment, as an object or as text."""
    return given if isinstance(given, datetime.datetime) else datetime.datetime.fromisoformat(given)
