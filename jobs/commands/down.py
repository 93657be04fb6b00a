"""Stop the local Airflow."""

from jobs.command import OneConfigOption


def command(config: OneConfigOption = None) -> None:
    """Stop the local Airflow, of one pipeline or of all."""
    from jobs.airflow import local_airflow as local

    for home in [local.home_of_existing(config)] if config else local.homes():
        local.down(home)
