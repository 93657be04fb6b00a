"""The pools of the pipelines in an Airflow: those that are missing are made, none is changed.

    python -m jobs.airflow.pools NAME=SLOTS ...

works on the Airflow that its environment names, and prints the pools that it made.
"""

import sys
from collections.abc import Iterable, Mapping

from pnn_gluon.config import Config
from pnn_gluon.pools import pools_of

DESCRIPTION = "Tasks of a pipeline of pnn_gluon"


def wanted_pools(pipelines: Iterable[Config]) -> dict[str, int]:
    """The pools of some pipelines, and their slots."""
    return {name: slots for config in pipelines for name, slots in pools_of(config).items()}


def make_pools(wanted: Mapping[str, int]) -> list[str]:
    """Make the pools that are missing in the Airflow of this process; their names."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    with create_session() as session:
        known = {pool.pool for pool in Pool.get_pools(session=session)}
        missing = [name for name in wanted if name not in known]
        for name in missing:
            Pool.create_or_update_pool(name, wanted[name], DESCRIPTION, include_deferred=False, session=session)
    return missing


def as_arguments(wanted: Mapping[str, int]) -> list[str]:
    """Pools as this module's command takes them."""
    return [f"{name}={slots}" for name, slots in wanted.items()]


def main(arguments: list[str]) -> None:
    """Make the pools that the arguments name."""
    pairs = (argument.split("=") for argument in arguments)
    for name in make_pools({name: int(slots) for name, slots in pairs}):
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
