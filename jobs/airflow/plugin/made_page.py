"""What a step made of a day, as a page: its run in the store, rows and rejects, what it was made from."""

import datetime
import json
from importlib.resources import files
from typing import Any, NamedTuple

from pnn_gluon.config import Config
from pnn_gluon.errors import DamagedError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.tables import REJECTS_FILE
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

SHOWN_REJECTS = 50


class Reject(NamedTuple):
    """A line that was set aside; its text stays in the store."""

    file: str
    line: int
    reason: str


def made_page(config: Config, step: Step, day: datetime.date) -> str:
    """One self-contained HTML page; a damaged or missing day is said on it, and its last failure."""
    store = open_store(config)
    try:
        manifest, damage = store.manifest(step.table.name, day), None
    except DamagedError as error:
        manifest, damage = None, masked(str(error))
    failure = store.failure(step.table.name, day)
    return _render(
        title=f"{config.name}: {step.name} of {day}",
        manifest=manifest,
        damage=damage,
        failure=failure and masked(failure),
        folder=manifest and store.relative(manifest.table, day, manifest.run),
        details=manifest and masked(json.dumps(manifest.details, indent=1, sort_keys=True)),
        rejects=_rejects(store, manifest) if manifest else [],
        shown=SHOWN_REJECTS,
        command=store.mend(step.table.name, day),
    )


def _rejects(store: Store, manifest: Manifest) -> list[Reject]:
    """The first lines that were set aside, one more than are shown where there are more."""
    if not any(file.name == REJECTS_FILE for file in manifest.files):
        return []
    import pyarrow.parquet as pq

    with pq.ParquetFile(store.folder(manifest) / REJECTS_FILE) as table:
        rows = next(table.iter_batches(SHOWN_REJECTS + 1, columns=list(Reject._fields)), None)
    return [Reject(**row) for row in rows.to_pylist()] if rows else []


def _render(**values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = files(__package__).joinpath("made_page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(**values)
