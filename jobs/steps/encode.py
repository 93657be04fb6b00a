"""Samples of the training window, with complete labels, under today's map -> HDF5 shards of int32 ids."""

import datetime
import logging
from collections.abc import Mapping
from pathlib import Path

from jobs.steps.sampled import sampled_rows
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import ShardDetails
from pnn_gluon.pipeline.inputs import Labelled, LabelledOver, Need, Saved
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARD_SUFFIX, SHARDS
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import link_file

log = logging.getLogger(__name__)

SAMPLES = LabelledOver("training.window_days")


def build(inputs: Inputs, folder: Path) -> Built:
    """Encode each day of the window; a shard whose sample and map are unchanged is taken over as it is."""
    samples, before = inputs[SAMPLES], _reusable(inputs)
    rows = _take_over(inputs, before, folder) if before else {}
    rows |= _encode(inputs, folder, {day: sample for day, sample in samples.items() if str(day) not in rows})
    details = ShardDetails(
        map=inputs[Need(MAPS)].run,
        samples={str(day): sample.partition.run for day, sample in samples.items()},
        rows=rows,
        rate=_rate(inputs, samples),
    )
    return Built(sum(sum(share.values()) for share in rows.values()), details)


def _encode(inputs: Inputs, folder: Path, samples: Mapping[datetime.date, Labelled]) -> dict[str, Mapping[str, int]]:
    """Encode the samples of some days; rows by day and share."""
    from pnn_gluon.data.encoding import write_shard
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.warehouse.duckdb_engine import connect

    rows: dict[str, Mapping[str, int]] = {}
    feature_map = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    with connect(inputs.config.engine) as connection:
        for day, sample in samples.items():
            path = folder / f"{day}{SHARD_SUFFIX}"
            rows[str(day)] = write_shard(connection, feature_map, sampled_rows(sample.partition), path, day)
            log.info("encode %s: %s %s", inputs.day, day, rows[str(day)])
    return rows


def _reusable(inputs: Inputs) -> Partition[ShardDetails] | None:
    """The day in force, if its shards may be taken over: whole, and made under the same map."""
    before = None if inputs.force else inputs[Saved(SHARDS)]
    if before is None or before.details.map != inputs[Need(MAPS)].run or not before.whole:
        return None
    return before


def _take_over(inputs: Inputs, before: Partition[ShardDetails], folder: Path) -> dict[str, Mapping[str, int]]:
    """Link the shards that were made from the same samples; their rows by day and share."""
    rows: dict[str, Mapping[str, int]] = {}
    for day, sample in inputs[SAMPLES].items():
        if before.details.samples.get(str(day)) == sample.partition.run:
            name = f"{day}{SHARD_SUFFIX}"
            link_file(before.file(name), folder / name)
            rows[str(day)] = before.details.rows[str(day)]
            log.info("encode %s: %s unchanged, taken over", inputs.day, day)
    return rows


def _rate(inputs: Inputs, samples: Mapping[datetime.date, Labelled]) -> float:
    """The one rate of all samples."""
    rates = {day: sample.rate for day, sample in samples.items()}
    if len(set(rates.values())) > 1:
        shown = ", ".join(f"{day} {rate:g}" for day, rate in rates.items())
        raise InputError(
            f"samples of the window were kept at different rates ({shown}): rerun `pnn-gluon step sample` for each"
        )
    return rates[max(rates)] if rates else inputs.config.sampling.negative_rate
