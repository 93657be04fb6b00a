"""The registered model of a pipeline in MLflow: a version for each bundle, and the aliases that say which is which."""

import logging
from typing import Any

from mlflow.exceptions import MlflowException

from pnn_gluon.pipeline.details import NOWHERE, Pointer
from pnn_gluon.pipeline.partition import kept_reason, open_partition
from pnn_gluon.pipeline.tables import BUNDLES, CHAMPIONS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store
from pnn_gluon.tracking.mlflow_record import PREFIX, DayRecord

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
"""The model in force; the newest one, where that is another."""

RUN, DAY = f"{PREFIX}run", f"{PREFIX}day"
"""Tags of a version: the run of its bundle, and the day of its model."""

_THERE, _NOT_THERE = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
_NO_REGISTRY = {"FEATURE_DISABLED", "NOT_IMPLEMENTED", "ENDPOINT_NOT_FOUND"}


def register(client: Any, name: str, run: Any, record: DayRecord) -> None:
    """Make the bundle of a record a version of the registered model, unless it is one."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code in _NO_REGISTRY:
            log.info("track %s: this MLflow registers no models", record.day)
            return
        if error.error_code != _THERE:
            raise
    if _version(client, name, RUN, record.model_run) is None:
        client.create_model_version(
            name,
            source=f"{run.info.artifact_uri}/bundle",
            run_id=run.info.run_id,
            tags={RUN: record.model_run, DAY: record.day},
            description=f"the model of {record.day}: run {record.model_run} of bundles in the store of the pipeline",
        )


def point_aliases(client: Any, store: Store, name: str) -> None:
    """Let `champion` be the model in force on the newest day, `challenger` the newest bundle if that is another."""
    if not _registered(client, name):
        return
    pointer, newest = _in_force(store), _newest_bundle(store)
    day, run = pointer.model_day, pointer.run if pointer.table == BUNDLES.name else None
    other = newest is not None and str(newest.day) != day
    champion = _version(client, name, RUN, run) if run else _version(client, name, DAY, day)
    challenger = _version(client, name, RUN, newest.run) if newest is not None and other else None
    for alias, version in ((CHAMPION, champion), (CHALLENGER, challenger)):
        _point(client, name, alias, version)
    if day is not None and champion is None:
        log.warning("track: the model of %s, which is in force, was never sent: pnn-gluon track --day %s", day, day)


def _registered(client: Any, name: str) -> bool:
    """Whether there is a registered model; before the first day with a bundle, or without a registry, there is none."""
    try:
        return client.get_registered_model(name) is not None
    except MlflowException as error:
        if error.error_code in {_NOT_THERE, *_NO_REGISTRY}:
            return False
        raise


def _point(client: Any, name: str, alias: str, version: str | None) -> None:
    if version is not None:
        client.set_registered_model_alias(name, alias, version)
    else:
        client.delete_registered_model_alias(name, alias)


def _version(client: Any, name: str, tag: str, text: str | None) -> str | None:
    """The newest version with a tag; None if there is none."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{tag}` = '{text}'") if text else []
    return max((str(each.version) for each in found), key=int, default=None)


def _in_force(store: Store) -> Pointer:
    """The bundle in force on the newest day that a champion was decided for."""
    days = store.days(CHAMPIONS.name)
    champion = open_partition(store, CHAMPIONS, days[-1]) if days else None
    return NOWHERE if champion is None else champion.details.pointer


def _newest_bundle(store: Store) -> Manifest | None:
    for day in reversed(store.days(BUNDLES.name)):
        manifest = store.manifest(BUNDLES.name, day)
        if manifest is not None and kept_reason(manifest.details) is None:
            return manifest
    return None
