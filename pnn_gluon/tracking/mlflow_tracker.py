"""Days sent to an MLflow: a server by its URL, or a local database of SQLite with its files beside it."""

import datetime
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.tracking.address import login_of
from pnn_gluon.tracking.away import answering
from pnn_gluon.tracking.mlflow_models import point_aliases, register
from pnn_gluon.tracking.mlflow_record import NO_MODEL, PREFIX, DayRecord, record_of
from pnn_gluon.tracking.tracked_day import TrackedDay
from pnn_gluon.tracking.unsent import Notes

SENT = f"{PREFIX}sent"
"""The tag with the name of the record that a run holds whole."""

AT_ONCE = 500
"""Metrics of one request; MLflow takes 1000, and 100 parameters."""


class MlflowTracker:
    """One experiment a pipeline, one run a day and model, one version of the registered model a bundle."""

    def __init__(self, config: Config, address: str, notes: Notes, again: bool = False) -> None:
        self._config, self._notes, self._again = config, notes, again
        self._artifacts = _artifacts_of(address)
        with answering(MlflowException):
            self._client = client_of(address)
        self._experiment: str | None = None

    def send(self, day: datetime.date) -> None:
        """Send a day, unless its run holds all of it already.

        Raises:
            AwayError: MLflow did not take it.
        """
        record = record_of(TrackedDay(self._config, day))
        if record is not None:
            with answering(MlflowException):
                self._send(record)
        self._notes.write(day, () if record is None else (record.name,), whole=True)

    def finish(self) -> None:
        """Point the aliases at the models that are champion and challenger now.

        Raises:
            AwayError: MLflow did not do so.
        """
        with answering(MlflowException):
            point_aliases(self._client, open_store(self._config), self._config.name)

    def _send(self, record: DayRecord) -> None:
        run = self._run_of(record)
        if run.data.tags.get(SENT) != record.name or self._again:
            self._fill(run, record)
        if record.model_run != NO_MODEL:
            register(self._client, self._config.name, run, record)

    def _run_of(self, record: DayRecord) -> Any:
        """The run of a record: the one with its tags, that of the day before it had a model, or a new one."""
        experiment = self._experiment_id()
        for tags in _known_by(record):
            wanted = " and ".join(f"tags.`{name}` = '{text}'" for name, text in tags.items())
            found = self._client.search_runs([experiment], wanted, max_results=1)
            if found:
                return found[0]
        return self._client.create_run(
            experiment, start_time=_milliseconds(record.at), tags=_known_by(record)[0], run_name=record.day
        )

    def _experiment_id(self) -> str:
        if self._experiment is None:
            name = self._config.name
            found = self._client.get_experiment_by_name(name)
            made = found.experiment_id if found else self._client.create_experiment(name, self._artifacts)
            self._experiment = str(made)
        return self._experiment

    def _fill(self, run: Any, record: DayRecord) -> None:
        """Put everything into a run that is not there; the tag that says so is the last."""
        name, at = run.info.run_id, _milliseconds(record.at)
        params = [Param(key, value) for key, value in record.params.items() if run.data.params.get(key) != value]
        for start in range(0, len(params), 100):
            self._client.log_batch(name, params=params[start : start + 100])
        metrics = [Metric(key, value, at, step) for (key, step), value in self._new_metrics(run, record).items()]
        for start in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(name, metrics=metrics[start : start + AT_ONCE])
        self._put_files(name, record.files)
        for tag in run.data.tags:
            if tag.startswith(PREFIX) and tag not in {*record.tags, SENT}:
                self._client.delete_tag(name, tag)
        tags = [RunTag(key, value) for key, value in {**record.tags, SENT: record.name}.items()]
        self._client.set_terminated(name, "FINISHED", end_time=at)
        self._client.log_batch(name, tags=tags)

    def _put_files(self, run: str, files: Mapping[str, bytes]) -> None:
        with temporary_folder(Path(tempfile.gettempdir()), "pnn-gluon-track-") as folder:
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            self._client.log_artifacts(run, str(folder))

    def _new_metrics(self, run: Any, record: DayRecord) -> Mapping[tuple[str, int], float]:
        """The metrics that the run does not have: a key whose last value agrees has all of its steps."""
        last = {key: value for (key, _), value in sorted(record.metrics.items())}
        known = {key for key, value in last.items() if run.data.metrics.get(key) == value}
        return {place: value for place, value in record.metrics.items() if place[0] not in known}


def _known_by(record: DayRecord) -> list[dict[str, str]]:
    """The tags that a run of the record has: its own; while it has no model, or had none when it was made, the day."""
    day = {f"{PREFIX}day": record.day}
    own = day | {f"{PREFIX}run": record.model_run, f"{PREFIX}config": record.tags[f"{PREFIX}config"]}
    return [own, day | {f"{PREFIX}run": NO_MODEL}]


def _milliseconds(at: datetime.datetime) -> int:
    return round(at.timestamp() * 1000)


def client_of(address: str) -> Any:
    """A client of the MLflow at a URL, or of that in a local file; a login goes by the environment."""
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    uri = address if "://" in address else f"sqlite:///{address}"
    if uri.startswith(("http://", "https://")):
        login = login_of(uri)
        _log_in(login.user, login.password)
        uri = login.url
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _log_in(user: str, password: str) -> None:
    if user:
        os.environ.update({"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password})
    elif password:
        os.environ["MLFLOW_TRACKING_TOKEN"] = password


def _artifacts_of(address: str) -> str | None:
    """Where the files of a local MLflow are: beside its database; a server knows by itself."""
    if "://" in address:
        return None
    Path(address).parent.mkdir(parents=True, exist_ok=True)
    return f"{Path(address).absolute()}.files"
