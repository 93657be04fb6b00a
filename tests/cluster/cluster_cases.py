"""Jobs of a cluster over generated rows, and the same training in one process."""

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.cluster.job import Job, JobModel, Shape, TrainingRows, ValidationRows
from pnn_gluon.cluster.training import train_on_cluster
from pnn_gluon.data.shards import ShardWriter
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters

FIELDS = {"a": 1, "tags": 3, "b": 1, "c": 1}
SIZE = 400
OPTIONS = {"epochs": 2, "learning_rate": 0.01, "embedding_l2": 1e-3, "checkpoint_every": 4}


def shard(folder, rows=1000, weighted=False):
    """A day of rows whose clicks depend on their ids; a last batch that is short."""
    draw = np.random.default_rng(7)
    ids = (draw.zipf(1.3, (rows, 6)) % (SIZE - 1) + 1).astype(np.int32)
    ids[::3, 2:4] = 0
    label = (draw.random(rows) < 1 / (1 + np.exp(np.sin(ids[:, 0]) + np.cos(ids[:, 4])))).astype(np.uint8)
    weight = draw.integers(1, 9, rows).astype(np.uint32) if weighted else None
    path = folder / "2026-01-01.h5"
    with ShardWriter(path, day="2026-01-01", slots=6, rate=0.5, size=SIZE, weighted=weighted) as writer:
        writer.append("train", ids, label, weight)
        held = slice(0, 150)
        writer.append("calibrate", ids[held], label[held], None if weight is None else weight[held])
    return path


def options_of(name):
    wanted = {"embedding_size": 4, "hidden": (8,)}
    return {key: value for key, value in wanted.items() if key in model_options(name)}


def job_of(path, name="fm", *, workers=2, servers=1, validate=True, stall_seconds=120, batch_size=96, **training):
    devices = training.pop("devices", 1)
    kvstore = "dist_sync" if devices == 1 else "dist_device_sync"
    return Job(
        shape=Shape(workers=workers, servers=servers, stall_seconds=stall_seconds),
        model=JobModel(name=name, options=options_of(name), fields=FIELDS, size=SIZE),
        training=TrainingOptions(kvstore=kvstore, devices=devices, **OPTIONS | training),
        rows=TrainingRows(paths=(path,), batch_size=batch_size, seed=3),
        validation=ValidationRows(paths=(path,), share="calibrate", rate=0.5) if validate else None,
    )


def net_of(job):
    return create_model(job.model.name, FieldLayout.from_widths(FIELDS), SIZE, **job.model.options)


def values_of(net):
    return {name: each.list_data()[0].asnumpy() for name, each in named_parameters(net).items()}


def by_cluster(job, folder):
    net = net_of(job)
    return train_on_cluster(net, job, folder), values_of(net)


def by_one_process(job, devices):
    """The same batches divided over devices of this process, of which the last epoch is kept."""
    net = net_of(job)
    options = job.training.replaced(kvstore="device", devices=devices)
    return train(net, job.feeder(), options), values_of(net)


def difference(left, right):
    assert left.keys() == right.keys()
    return max(float(np.abs(left[name] - right[name]).max()) for name in left)
