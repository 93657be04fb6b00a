"""The day: raw logs of D in, calibrated scores for D+1 out.

The steps, what each comes after and what of yesterday it waits for follow from `pnn_gluon/pipeline/steps.py`. A step
that continues yesterday's work waits for yesterday's, so a backfill of any range gives the same bytes as the days run
one by one.
"""

from airflow.sdk import CronDataIntervalTimetable, dag
from pnn_gluon_tasks import every_day, pipeline_config, steps_as_tasks

from pnn_gluon.pipeline.steps import daily_steps

config = pipeline_config()


@dag(
    dag_id="ctr_daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    doc_md=__doc__,
    **every_day(config),
)
def ctr_daily() -> None:
    """Describe the day."""
    steps_as_tasks(config, daily_steps(config))


ctr_daily()
