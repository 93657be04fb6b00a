"""What a step read, as datasets with their versions, days and quality."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import (
    base_subset_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    schema_dataset,
)

from pnn_gluon.pipeline.reading import CLOCKS
from pnn_gluon.pipeline.tables import CHECKS, PROFILE_FILE, ROWS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.tracking.lineage_columns import Columns, columns_of, raw_columns
from pnn_gluon.tracking.lineage_places import Place, raw_place, table_place
from pnn_gluon.tracking.tracked_day import TrackedDay


def input_datasets(tracked: TrackedDay, manifest: Manifest) -> list[Any]:
    """The datasets that a manifest names as read, each table and kind of raw files once."""
    read: dict[str, dict[str, str]] = {}
    for key, run in manifest.inputs.items():
        name, _, part = key.removeprefix("raw/").partition("/")
        if run is not None and name != CLOCKS:
            read.setdefault(f"raw/{name}" if key.startswith("raw/") else name, {})[part] = run
    return [_dataset(tracked, name, parts, manifest) for name, parts in sorted(read.items())]


def _dataset(tracked: TrackedDay, name: str, parts: Mapping[str, str], manifest: Manifest) -> Any:
    config, kind = tracked.config, name.removeprefix("raw/")
    raw = kind != name
    place = raw_place(config, kind) if raw else table_place(config, name)
    facets = described(place, raw_columns(config, kind) if raw else columns_of(config, name), _version(parts))
    checked = quality(tracked) if (manifest.table, name) == (CHECKS.name, ROWS.name) else {}
    within = {} if raw else {"subset": _days(parts)}
    return InputDataset(place.namespace, place.name, facets=facets, inputFacets={**within, **checked})


def described(place: Place, columns: Columns, version: str) -> dict[str, Any]:
    """The facets that every dataset has: its columns where they are known, and its version."""
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, ordinal_position=number)
        for number, (name, kind) in enumerate(columns.items(), 1)
    ]
    schema = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)} if fields else {}
    return {**schema, "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)}


def _version(parts: Mapping[str, str]) -> str:
    """The run that was read, or the hash of all of them."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _days(parts: Mapping[str, str]) -> Any:
    """The days of a table that were read, with their runs."""
    days = [base_subset_dataset.Partition(dimensions={"ds": day}, identifier=run) for day, run in sorted(parts.items())]
    condition = base_subset_dataset.PartitionSubsetCondition(partitions=days)
    return base_subset_dataset.InputSubsetInputDatasetFacet(inputCondition=condition)


def quality(tracked: TrackedDay) -> dict[str, Any]:
    """What the checks found of the rows of the day: how many, without a value by field, and what is not as before."""
    check, rows = tracked.partition(CHECKS), tracked.manifests.get(ROWS.name)
    content = tracked.content(CHECKS.name, PROFILE_FILE)
    if check is None or rows is None or content is None:
        return {}
    metrics = _metrics(json.loads(content), sum(file.size for file in rows.files))
    found = [_assertion(finding) for finding in check.details.findings]
    facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=found)
    return {"dataQualityMetrics": metrics, **({"dataQualityAssertions": facet} if found else {})}


def _metrics(profile: Mapping[str, Any], size: int) -> Any:
    kind = data_quality_metrics_input_dataset.ColumnMetrics
    columns = {
        name: kind(nullCount=missing, count=profile["rows"] - missing) for name, missing in profile["missing"].items()
    }
    columns["label"] = kind(nullCount=0, count=profile["rows"], sum=profile["clicks"])
    return data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
        rowCount=profile["rows"], bytes=size, columnMetrics=columns
    )


def _assertion(finding: Mapping[str, Any]) -> Any:
    return data_quality_assertions_dataset.Assertion(
        assertion=finding["check"],
        success=False,
        column=finding.get("field"),
        severity="error" if finding["level"] == "fail" else "warn",
        description=finding["words"],
        expected=_text(finding.get("limit")),
        actual=_text(finding.get("value")),
    )


def _text(number: float | None) -> str | None:
    return None if number is None else f"{number:.6g}"
