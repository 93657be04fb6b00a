"""The day: raw logs of D in, calibrated scores for D+1 out.

Reads top to bottom as docs/operations.md tells it. Tasks that continue yesterday's work wait for yesterday's
(depends_on_past; those that read yesterday's champion also for its promotion: wait_for_downstream), so a backfill
of any range gives the same bytes as the days run one by one.
"""

from airflow.sdk import CronDataIntervalTimetable, dag
from pnn_gluon_tasks import every_day, job, pipeline_config

config = pipeline_config()


@dag(
    dag_id="ctr_daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    doc_md=__doc__,
    **every_day(config),
)
def ctr_daily() -> None:
    """Describe the day."""
    ingest = job("ingest", config)
    sample = job("sample", config)
    count = job("count", config)
    feature_map = job("feature_map", config, depends_on_past=True)
    encode = job("encode", config, depends_on_past=True)
    evaluate = job("evaluate", config, depends_on_past=True, wait_for_downstream=True)
    warm = config.training.warm_start
    train = job("train", config, depends_on_past=warm, wait_for_downstream=warm, max_active_tis_per_dag=1)
    calibrate = job("calibrate", config)
    gate = job("gate", config, depends_on_past=True, wait_for_downstream=True)
    promote = job("promote", config, depends_on_past=True)
    score = job("score", config)
    publish = job("publish", config)

    ingest >> [sample, count]
    [sample, count] >> feature_map >> encode >> train >> calibrate >> gate >> promote >> score >> publish
    ingest >> evaluate >> promote
    if config.calibration.maturity_days:
        job("mature", config) >> encode
    train >> promote  # a warm start waits for yesterday's promotion


ctr_daily()
