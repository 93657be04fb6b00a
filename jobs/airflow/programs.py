"""What supervisord runs for a local Airflow, and how."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jobs.airflow import broker, celery_parts
from jobs.airflow.settings import Settings
from jobs.airflow.variables import SOCKET_VARIABLE
from pnn_gluon.configurations import load_all

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
"""The components of Airflow that run with every executor."""

HEALTH_NAMES = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}
"""By Airflow's name of a component whose heartbeat it knows, the part that it is."""

_SUPERVISOR = """\
[supervisord]
pidfile = supervisord.pid
logfile = logs/supervisord.log
childlogdir = logs
loglevel = info
umask = {umask:03o}
{user}
[unix_http_server]
file = %(ENV_{socket})s
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:postgres]
command = {python} -m pnn_gluon.warehouse.embedded_postgres postgres
priority = 10
startsecs = 1
startretries = 1000000
autorestart = true
stopsignal = INT
stopwaitsecs = 60
redirect_stderr = true
stdout_logfile = logs/postgres.log
"""

_PART = """
[program:{name}]
command = {command}
autostart = false
autorestart = true
startsecs = 3
startretries = 1000000
stopasgroup = {stop_group}
killasgroup = true
stopwaitsecs = 20
redirect_stderr = true
stdout_logfile = logs/{name}.log
"""


_REDIS = """
[program:{name}]
command = {python} -m jobs.airflow.broker {name}
priority = 10
startsecs = 1
startretries = 1000000
autorestart = true
stopwaitsecs = 60
redirect_stderr = true
stdout_logfile = logs/{name}.log
"""


def parts_of(wanted: Settings) -> tuple[str, ...]:
    """The parts that are Airflow's own, which start once the database is there."""
    return (*PARTS, *celery_parts.WORKERS) if wanted.executor == "celery" else PARTS


def supervisor_config(wanted: Settings) -> str:
    """The supervisord configuration; it runs in the home, so that no path needs quoting in it."""
    umask = os.umask(0o022)
    os.umask(umask)
    python = f"{Path(sys.executable).name} -P"
    user = "user = root\n" if os.geteuid() == 0 else ""
    text = _SUPERVISOR.format(umask=umask, user=user, socket=SOCKET_VARIABLE, python=python)
    if wanted.executor == "celery":
        text += _REDIS.format(name=broker.PART, python=python)
    for name, arguments in _commands(wanted).items():
        # The scheduler and workers end what they run; hit as a group it would die in the middle of a task.
        alone = name == "scheduler" or name in celery_parts.WORKERS
        command = f"{python} -m airflow {arguments}"
        text += _PART.format(name=name, command=command, stop_group=str(not alone).lower())
    watch = f"{python} -m jobs.airflow.local_airflow_watch"
    text += _PART.format(name="watch", command=watch, stop_group="true") + "priority = 30\n"
    return f"{text}\n[group:airflow]\nprograms = {','.join(parts_of(wanted))}\npriority = 20\n"


def _commands(wanted: Settings) -> Mapping[str, str]:
    """The arguments of Airflow's command that is each part."""
    commands = {name: name for name in PARTS}
    commands["scheduler"] += " --skip-serve-logs"
    commands["triggerer"] += " --skip-serve-logs"
    if wanted.executor == "celery":
        queues = celery_parts.queues_by_worker(load_all(Path(wanted.configs))[0])
        commands |= {part: celery_parts.command(name, queues[name]) for part, name in celery_parts.WORKERS.items()}
    return commands
