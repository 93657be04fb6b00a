"""A job's network over the ids of a batch, and where its parameters lie."""

import math
from dataclasses import dataclass

from pnn_gluon.blocks.id_table import is_row_parameter, whole_name
from pnn_gluon.cluster.job import Job
from pnn_gluon.cluster.plan import LARGEST, Plan, make_plan
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock
from pnn_gluon.training.optimizer import set_l2
from pnn_gluon.training.parameters import named_parameters


@dataclass(frozen=True)
class CompactNetwork:
    """The network with tables of the ids of one worker's part of a batch: row 0 is padding, row 1 the smallest id.

    Attributes:
        net: Without values.
        plan: Where its parameters lie on the servers.
        l2: L2 strength of each parameter.
    """

    net: HybridBlock
    plan: Plan
    l2: dict[str, float]


def most_ids(job: Job) -> int:
    """Most distinct ids, without padding, that a worker can have in its part of a batch."""
    rows = -(-job.rows.batch_size // job.shape.workers) + job.training.devices
    return min(rows * job.model.layout.slots, job.model.size)


def compact_network(job: Job, largest: int = LARGEST) -> CompactNetwork:
    """The network of a worker.

    Raises:
        ConfigError: it looks up rows by something else than ids, which a worker's numbering of ids would change.
    """
    most = most_ids(job)
    net = job.model.create(1 + most)
    set_l2(net, job.training)
    parameters = named_parameters(net)
    if cut := sorted({whole_name(name) for name in parameters if whole_name(name) != name}):
        raise ConfigError(
            f"kvstore {job.training.kvstore!r}: the {most} ids that a worker can have in a batch are too many for one "
            f"tensor of {', '.join(cut)}: lower batch_size or take more workers"
        )
    by_hash = [
        name for name, each in parameters.items() if each._grad_stype != "default" and not is_row_parameter(name)
    ]
    if by_hash:
        raise ConfigError(
            f"kvstore {job.training.kvstore!r} has no place for {', '.join(sorted(by_hash))} of model "
            f"{job.model.name!r}, whose rows are no ids: leave `crosses` out, or train in one process"
        )
    shapes = {name: tuple(each.shape) for name, each in parameters.items()}
    tables = {name: math.prod(shape[1:]) for name, shape in shapes.items() if is_row_parameter(name)}
    others = {name: shape for name, shape in shapes.items() if name not in tables}
    fixed = {name: shape for name, shape in others.items() if parameters[name].grad_req == "null"}
    plan = make_plan(
        tables,
        {name: shape for name, shape in others.items() if name not in fixed},
        fixed,
        size=job.model.size,
        most=1 + most,
        workers=job.shape.workers,
        servers=job.shape.servers,
        largest=largest,
    )
    return CompactNetwork(net, plan, {name: each.wd_mult for name, each in parameters.items()})
