"""Samples of the training window, with complete labels, under today's map -> HDF5 shards of int32 ids."""

import datetime
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step
from pnn_gluon.errors import InputError
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import link_file


def reads(reading: Reading) -> None:
    """Today's map and the samples of the training window."""
    reading.need("maps")
    reading.labelled(reading.config.training.window_days)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Encode each day of the window; a shard whose sample and map are unchanged is taken over as it is."""
    samples = reading.labelled(reading.config.training.window_days)
    reusable = _reusable(reading, samples)
    for day in reusable:
        link_file(reusable[day], folder / f"{day}.h5")
        report(f"encode {reading.day}: {day} unchanged, taken over")
    counts = _encode(reading, folder, {day: samples[day] for day in samples if day not in reusable}, report)
    total = {**_counts_before(reading, set(reusable)), **counts}
    made_from = {str(day): manifest.run for day, manifest in samples.items()}
    details = {"map": reading.need("maps").run, "samples": made_from, "rows": total, "rate": _rate(reading, samples)}
    return Built(sum(sum(share.values()) for share in total.values()), details)


def _encode(
    reading: Reading, folder: Path, samples: dict[datetime.date, Manifest], report: Report
) -> dict[str, dict[str, int]]:
    from pnn_gluon.data.encoding import write_shard
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.warehouse.duckdb_engine import connect

    store, counts = reading.store, {}
    feature_map = FeatureMap.load(store.folder(reading.need("maps")) / "map.h5")
    with connect(reading.config.engine) as connection:
        for day, manifest in samples.items():
            sample = store.folder(manifest) / "sample.parquet"
            counts[str(day)] = write_shard(connection, feature_map, sample, folder / f"{day}.h5", day)
            report(f"encode {reading.day}: {day} {counts[str(day)]}")
    return counts


def _reusable(reading: Reading, samples: dict[datetime.date, Manifest]) -> dict[datetime.date, Path]:
    """The shards of the day in force that were made from the same sample under the same map."""
    before = None if reading.force else reading.store.intact("shards", reading.day)
    if before is None or before.details["map"] != reading.need("maps").run:
        return {}
    folder, made_from = reading.store.folder(before), before.details["samples"]
    return {day: folder / f"{day}.h5" for day, sample in samples.items() if made_from.get(str(day)) == sample.run}


def _counts_before(reading: Reading, days: set[datetime.date]) -> dict[str, dict[str, int]]:
    before = reading.store.manifest("shards", reading.day) if days else None
    return {str(day): before.details["rows"][str(day)] for day in days} if before else {}


def _rate(reading: Reading, samples: dict[datetime.date, Manifest]) -> float:
    rates = {day: float(manifest.details["rate"]) for day, manifest in samples.items()}
    if len(set(rates.values())) > 1:
        shown = ", ".join(f"{day} {rate:g}" for day, rate in rates.items())
        raise InputError(
            f"samples of the window were kept at different rates ({shown}): rerun `pnn-gluon step sample` for each"
        )
    return rates[max(rates)] if rates else reading.config.sampling.negative_rate


STEP = Step("encode", "shards", ("training.window_days",), reads, build)
