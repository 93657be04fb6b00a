"""The variables that the local Airflow runs with."""

import os
import shlex
import sys
from pathlib import Path

from jobs.airflow import celery_parts
from jobs.airflow.homes import REPOSITORY
from jobs.airflow.settings import Settings
from jobs.airflow.stubs import DAGS
from jobs.airflow.supervisor_calls import socket_path
from pnn_gluon.ports import HOST

MARKER = "PNN_GLUON_AIRFLOW"
"""In the environment of every process of a local Airflow; its value is the home."""

SOCKET_VARIABLE = "PNN_GLUON_AIRFLOW_SOCKET"
"""Where supervisord finds the path of its socket."""


def environment(home: Path, wanted: Settings) -> dict[str, str]:
    """The variables Airflow runs with here; secrets are named by the command that reads them."""
    folder = home / "secrets"
    secret = {
        "DATABASE__SQL_ALCHEMY_CONN": "database",
        "CORE__FERNET_KEY": "fernet",
        "API_AUTH__JWT_SECRET": "jwt",
        "API__SECRET_KEY": "session",
    }
    airflow = {
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__EXECUTION_API_SERVER_URL": f"{wanted.own_address}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(not wanted.users),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(wanted.users),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "API__HOST": wanted.host,
        "API__PORT": str(wanted.port),
        "API__BASE_URL": wanted.address,
        "API__WORKERS": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "200",  # of more runs at once, those of backfills starve
        "WORKERS__EXECUTION_API_RETRIES": "20",  # a task outlives some minutes without the server
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "30",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    if wanted.executor == "celery":
        airflow |= celery_parts.variables(home)
    commands = {f"{name}_CMD": shlex.join(["cat", str(folder / file)]) for name, file in secret.items()}
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in (airflow | commands).items()},
    }


def process_environment(home: Path, wanted: Settings) -> dict[str, str]:
    """The caller's environment without its Airflow settings, with ours, and what marks our processes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    settings = environment(home, wanted)
    own = sorted({HOST, wanted.own_host, "localhost"})
    direct = ",".join(filter(None, [kept.get("no_proxy", kept.get("NO_PROXY")), *own]))
    return kept | settings | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), str(DAGS), kept.get("PYTHONPATH")])),
        "no_proxy": direct,
        "NO_PROXY": direct,
        "SPT_NOENV": "1",  # else process titles overwrite the environment, and with it the marker
        MARKER: str(home),
        SOCKET_VARIABLE: str(socket_path(home)),
    }  # fmt: skip
