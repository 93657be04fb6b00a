"""What is written above the runs of a DAG."""

from pnn_gluon.config import Config
from pnn_gluon.pools import pools_of


def documented(text: str, config: Config, pool: str | None = None) -> str:
    """What a DAG does, and what to do when its pool is missing, of which Airflow itself says little."""
    pool = pool or config.name
    return (
        f"{text}\nConfiguration: `{config.path}`. Its pool is `{pool}`. Without it tasks stay *scheduled* "
        "for ever, and the details of a task say why: make it under *Admin*, *Pools*, or by "
        f"`airflow pools set {pool} {pools_of(config)[pool]} pnn_gluon`."
    )
