"""Once labels have matured: measure the model that was in force again, and refit its calibrator. No retraining."""

from airflow.sdk import CronDataIntervalTimetable, dag
from pnn_gluon_tasks import every_day, pipeline_config, steps_as_tasks

from pnn_gluon.pipeline.steps import nightly_steps

config = pipeline_config()


@dag(
    dag_id="ctr_nightly_evaluation",
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    doc_md=__doc__,
    **every_day(config),
)
def ctr_nightly_evaluation() -> None:
    """Describe the night."""
    steps_as_tasks(config, nightly_steps(config))


ctr_nightly_evaluation()
