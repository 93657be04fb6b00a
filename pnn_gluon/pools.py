"""The Airflow pools of a pipeline: its tasks run in them, so that no pipeline waits for the slots of another."""

from pnn_gluon.config import Config

SCORES_SUFFIX = "_scores"
"""What the pool of the scores is named after the pipeline."""

SLOTS = 4
"""How many tasks of a pipeline run at once: three of a day may, and an earlier or later day beside them."""

SCORES_SLOTS = 2
"""How many tasks that only bring scores out; they wait for none of the others."""


def pools_of(config: Config) -> dict[str, int]:
    """The slots of each pool of a pipeline, until somebody changes them in Airflow."""
    return {config.name: SLOTS, f"{config.name}{SCORES_SUFFIX}": SCORES_SLOTS}
