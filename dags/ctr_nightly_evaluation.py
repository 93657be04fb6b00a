"""Once labels have matured: measure the model that was in force again, and refit its calibrator. No retraining."""

from airflow.sdk import CronDataIntervalTimetable, dag
from pnn_gluon_tasks import every_day, job, pipeline_config

config = pipeline_config()


@dag(
    dag_id="ctr_nightly_evaluation",
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    doc_md=__doc__,
    **every_day(config),
)
def ctr_nightly_evaluation() -> None:
    """Describe the night."""
    measured = [job("reevaluate", config), job("recalibrate", config)]
    if not config.calibration.maturity_days:  # else the day itself has read the matured labels
        job("mature", config) >> measured


ctr_nightly_evaluation()
