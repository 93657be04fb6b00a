"""The steps of a day as events of OpenLineage (specification 2-0-2), made from manifests and failures alone.

A run is known by the run of the store: sent again, it is the same run with the same times. A manifest does not tell
when its step began: START goes back from the end by the seconds that the machine noted which made the day, and has the
time of the end on any other.
"""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    tags_run,
)

from pnn_gluon import __version__
from pnn_gluon.pipeline.partition import Partition, kept_reason
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.tracking.lineage_columns import Origin, columns_of, origins_of
from pnn_gluon.tracking.lineage_inputs import described, input_datasets
from pnn_gluon.tracking.lineage_places import table_place
from pnn_gluon.tracking.tracked_day import TrackedDay

PRODUCER = f"urn:pnn_gluon:{__version__}"


def events_of(tracked: TrackedDay) -> list[Any]:
    """A START and a COMPLETE for every step that made the day, a START and a FAIL for one whose last try failed."""
    set_producer(PRODUCER)
    found: list[Any] = []
    for step in STEPS:
        manifest = tracked.manifests.get(step.table.name)
        if manifest is not None:
            found += _made(tracked, step, manifest)
        if (failure := tracked.failure(step)) is not None:
            found += _failed(tracked, step, failure)
    return found


def run_id(pipeline: str, table: str, day: datetime.date, run: str) -> str:
    """The UUID of a run of the store: the same wherever and whenever it is asked for."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"pnn-gluon://{pipeline}/{table}/ds={day}/run={run}"))


def _made(tracked: TrackedDay, step: Step, manifest: Manifest) -> Iterator[Any]:
    name = run_id(tracked.config.name, manifest.table, manifest.day, manifest.run)
    run = Run(runId=name, facets={**_when(tracked), **_engine(manifest), "tags": _tags(tracked, step, manifest)})
    inputs, outputs = input_datasets(tracked, manifest), [_output(tracked, manifest)]
    yield _event(tracked, step, RunState.START, tracked.began(manifest.table), run, inputs=inputs)
    yield _event(tracked, step, RunState.COMPLETE, tracked.written(manifest.table), run, inputs=inputs, outputs=outputs)


def _failed(tracked: TrackedDay, step: Step, failure: str) -> Iterator[Any]:
    at = tracked.failed_at(step)
    name = run_id(tracked.config.name, step.table.name, tracked.day, f"failed at {at.isoformat()}")
    error = error_message_run.ErrorMessageRunFacet(message=failure, programmingLanguage="PYTHON")
    yield _event(tracked, step, RunState.START, at, Run(runId=name, facets=_when(tracked)))
    yield _event(tracked, step, RunState.FAIL, at, Run(runId=name, facets={**_when(tracked), "errorMessage": error}))


def _event(tracked: TrackedDay, step: Step, state: Any, at: datetime.datetime, run: Any, **datasets: Any) -> Any:
    described_by = documentation_job.DocumentationJobFacet(description=step.does or f"{step.name}, by hand")
    kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="PNN_GLUON", jobType="STEP")
    facets = {"documentation": described_by, "jobType": kind}
    job = Job(namespace=tracked.config.name, name=step.name, facets=facets)
    return RunEvent(
        eventType=state,
        eventTime=at.isoformat(timespec="milliseconds"),
        run=run,
        job=job,
        producer=PRODUCER,
        **datasets,
    )


def _when(tracked: TrackedDay) -> dict[str, Any]:
    """The day that a run is about, and the run of all steps of the day that it is a part of."""
    name, start, end = tracked.config.name, tracked.start.isoformat(), tracked.end.isoformat()
    day = str(uuid.uuid5(uuid.NAMESPACE_URL, f"pnn-gluon://{name}/ds={tracked.day}"))
    return {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(nominalStartTime=start, nominalEndTime=end),
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(runId=day), job=parent_run.Job(namespace=name, name="day")
        ),
    }


def _engine(manifest: Manifest) -> dict[str, Any]:
    version = manifest.made_by.get("pnn_gluon", "before 0.2")
    facet = processing_engine_run.ProcessingEngineRunFacet(
        version=version, name="pnn_gluon", openlineageAdapterVersion=__version__
    )
    return {"processing_engine": facet}


def _tags(tracked: TrackedDay, step: Step, manifest: Manifest) -> Any:
    """The run of the store, the hash of its options, versions, and whether the day was kept or refused."""
    told = {"run": manifest.run, "config": manifest.config, "step_version": str(manifest.version)}
    tags = {**told, **dict(manifest.made_by), **_decision(tracked, step, manifest)}
    fields = [tags_run.TagsRunFacetFields(key=key, value=value, source="PNN_GLUON") for key, value in tags.items()]
    return tags_run.TagsRunFacet(tags=fields)


def _decision(tracked: TrackedDay, step: Step, manifest: Manifest) -> Mapping[str, str]:
    if (reason := kept_reason(manifest.details)) is not None:
        return {"kept": reason}
    partition: Partition[Any] | None = tracked.partition(step.table)
    return {"refused": "true"} if partition is not None and partition.details.refused else {}


def _output(tracked: TrackedDay, manifest: Manifest) -> Any:
    place, config = table_place(tracked.config, manifest.table), tracked.config
    facets = described(place, columns_of(config, manifest.table), manifest.run)
    origins = origins_of(config, manifest.table)
    if origins:
        fields = {name: _lineage(each) for name, each in origins.items()}
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)
    size = sum(file.size for file in manifest.files)
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=manifest.rows, size=size, fileCount=len(manifest.files)
    )
    return OutputDataset(place.namespace, place.name, facets=facets, outputFacets={"outputStatistics": written})


def _lineage(origins: list[Origin]) -> Any:
    return column_lineage_dataset.Fields(
        inputFields=[
            column_lineage_dataset.InputField(
                namespace=each.place.namespace,
                name=each.place.name,
                field=each.column,
                transformations=[column_lineage_dataset.Transformation(type="DIRECT", subtype=each.how)],
            )
            for each in origins
        ]
    )
