"""Training divided over many processes: the day's rows and configuration as the job of a cluster."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.steps.training_split import split, unseen
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.cluster.job import Job
    from pnn_gluon.cluster.launcher import Hosts, Outside
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.loop import TrainingResult


def train_by_many(
    inputs: Inputs, net: "HybridBlock", options: Mapping[str, Any], feature_map: "FeatureMap"
) -> "TrainingResult":
    """Train a network of these options on the day's window, by the workers of the configuration.

    Where the environment says at which address the scheduler listens, others start servers and workers; see
    `pnn_gluon.cluster.member`.
    """
    from pnn_gluon.cluster.training import train_on_cluster

    return train_on_cluster(net, _job(inputs, options, feature_map), inputs.scratch() / "training", _where(inputs))


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


def _where(inputs: Inputs) -> "Hosts | Outside | None":
    from pnn_gluon.cluster.launcher import Hosts, Outside
    from pnn_gluon.cluster.member import root_of

    cluster, root = inputs.config.engine.cluster, root_of(os.environ)
    if root is not None:
        return Outside(root)
    if cluster.address is None:
        return None
    return Hosts(cluster.worker_hosts, cluster.server_hosts, cluster.address)
