"""The task that waits for raw files: it looks, gives its slot back, and looks again, until its own deadline."""

import datetime
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import AirflowFailException
from pnn_gluon_job import JobOperator, reason
from pnn_gluon_waiting import pause

LOOK_AGAIN = datetime.timedelta(minutes=1)


class ArrivalOperator(JobOperator):
    """`pnn-gluon arrived` again and again; in between the task is deferred."""

    def __init__(self, *, patience: datetime.timedelta | None, **options: Any) -> None:
        """`patience` is how long after the end of the day it waits; None for a single look."""
        super().__init__(**options)
        self.patience = patience

    def refused(self, outcome: dict[str, Any], context: Any) -> None:
        """Wait while something is missing.

        Raises:
            AirflowFailException: the deadline is over; with what was looked for.
        """
        if self.patience is None:
            raise AirflowFailException(reason(outcome))
        start = context["data_interval_start"].replace(hour=0, minute=0)
        deadline = start + datetime.timedelta(days=1) + self.patience
        if datetime.datetime.now(datetime.UTC) >= deadline:
            raise AirflowFailException(f"not complete by {deadline:%Y-%m-%d %H:%M} UTC: {reason(outcome)}")
        self.defer(trigger=TimeDeltaTrigger(pause(LOOK_AGAIN)), method_name="go_on")
