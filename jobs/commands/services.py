"""How the local Airflow is."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jobs.command import SomeConfigsOption

if TYPE_CHECKING:
    from jobs.airflow.local_airflow import Status


def command(configs: SomeConfigsOption = None) -> None:
    """How the local Airflow is, of a folder of pipelines or every one: its parts, their health, its address."""
    from jobs.airflow import local_airflow as local
    from jobs.airflow.homes import home_of_existing, homes

    chosen = [home_of_existing(configs)] if configs else homes()
    healthy = [_print_services(local.status(home), home) for home in chosen]
    if not chosen:
        print("address: none")
    raise typer.Exit(0 if healthy and all(healthy) else 1)


def _print_services(found: "Status", home: Path) -> bool:
    print(f"home: {home}")
    for name, state in {**found.parts, **{f"health of {part}": word for part, word in found.health.items()}}.items():
        print(f"{name}: {state}")
    print(f"address: {found.address or 'none'}")
    return found.healthy
