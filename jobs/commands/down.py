"""Stop the local Airflow."""

from jobs.command import SomeConfigsOption


def command(configs: SomeConfigsOption = None) -> None:
    """Stop the local Airflow of a folder of pipelines, by default every one of this checkout."""
    from jobs.airflow import local_airflow as local
    from jobs.airflow.homes import home_of_existing, homes

    for home in [home_of_existing(configs)] if configs else homes():
        local.down(home)
