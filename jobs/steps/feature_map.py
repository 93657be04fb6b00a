"""Yesterday's feature map and the window's counts -> today's map; no id ever moves."""

from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step


def reads(reading: Reading) -> None:
    """The parent map, the counts of the window and, while bucket edges are to be fitted, the rows of the day."""
    parent = reading.parent("maps")
    reading.over("counts", reading.config.feature_map.window_days)
    if parent is None or parent.details.get("unfitted"):
        reading.need("rows")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Grow the map by the values that passed the threshold."""
    from pnn_gluon.data.feature_map import FeatureMap, check_tensor_limit, grow_map

    config, store, parent = reading.config, reading.store, reading.parent("maps")
    counts = reading.over("counts", config.feature_map.window_days)
    fits = parent is None or parent.details.get("unfitted")
    grown = grow_map(
        FeatureMap.load(store.folder(parent) / "map.h5") if parent else None,
        config.fields,
        config.feature_map.min_impressions,
        config.engine,
        reading.day,
        [store.folder(manifest) / "counts.parquet" for manifest in counts.values()],
        store.folder(reading.need("rows")) / "rows.parquet" if fits else None,
        parent.files[0].sha256 if parent else "",
    )
    check_tensor_limit(grown.size, config.model.embedding_size or 1)
    grown.save(folder / "map.h5")
    before = parent.rows if parent else 0
    report(f"feature_map {reading.day}: {grown.size:,} ids, {grown.size - before:,} new")
    unfitted = {"unfitted": grown.unfitted} if grown.unfitted else {}
    return Built(grown.size, {"new_ids": grown.size - before, **unfitted})


STEP = Step("feature_map", "maps", ("first_day", "fields", "feature_map", "model.embedding_size"), reads, build)
