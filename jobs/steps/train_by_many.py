"""Training divided over many processes: the day's rows and configuration as the job of a cluster."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.steps.training_split import split, unseen
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.cluster.job import Job
    from pnn_gluon.cluster.launcher import Hosts
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.loop import TrainingResult


def train_by_many(
    inputs: Inputs, net: "HybridBlock", options: Mapping[str, Any], feature_map: "FeatureMap"
) -> "TrainingResult":
    """Train a network of these options on the day's window, by the workers of the configuration."""
    from pnn_gluon.cluster.training import train_on_cluster

    return train_on_cluster(net, _job(inputs, options, feature_map), inputs.scratch() / "training", _hosts(inputs))


def _job(inputs: Inputs, options: Mapping[str, Any], feature_map: "FeatureMap") -> "Job":
    from pnn_gluon.cluster.job import HiddenFields, Job, JobModel, Shape, TrainingRows, ValidationRows

    training, cluster, layout = inputs.config.training, inputs.config.engine.cluster, feature_map.layout
    rows, hidden = split(inputs), unseen(inputs, feature_map)
    fields = dict(zip(layout.names, layout.widths, strict=True))
    return Job(
        shape=Shape(workers=training.workers, servers=cluster.servers, stall_seconds=cluster.stall_seconds),
        model=JobModel(name=inputs.config.model.name, options=dict(options), fields=fields, size=feature_map.size),
        training=training.options,
        rows=TrainingRows(
            paths=tuple(rows.train),
            batch_size=training.batch_size,
            seed=training.seed,
            unseen=None if hidden is None else HiddenFields.of(hidden),
        ),
        validation=ValidationRows(paths=tuple(rows.valid), share=rows.share, rate=rows.rate) if rows.valid else None,
    )


def _hosts(inputs: Inputs) -> "Hosts | None":
    from pnn_gluon.cluster.launcher import Hosts

    cluster = inputs.config.engine.cluster
    if cluster.address is None:
        return None
    return Hosts(cluster.worker_hosts, cluster.server_hosts, cluster.address)
