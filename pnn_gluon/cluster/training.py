"""`train` on a cluster: the same arguments in other words, the same result."""

from pathlib import Path

from pnn_gluon.blocks.id_table import whole_name
from pnn_gluon.cluster.job import START_FILE, Job, result_of
from pnn_gluon.cluster.kept import whole_values
from pnn_gluon.cluster.launcher import Hosts, Outside, launch
from pnn_gluon.cluster.network import compact_network
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.checkpoint import Checkpoints
from pnn_gluon.training.cut_tables import first_rows
from pnn_gluon.training.devices import has_values, initialize
from pnn_gluon.training.history import EpochRecord
from pnn_gluon.training.loop import TrainingResult, fingerprint_of
from pnn_gluon.training.parameters import put_values, save_values, shapes_of, take_values


def train_on_cluster(net: HybridBlock, job: Job, folder: Path, where: Hosts | Outside | None = None) -> TrainingResult:
    """Train a network on a cluster; afterwards it has the parameters of the best epoch.

    A run that was stopped goes on from the newest checkpoint in the folder, as `pnn_gluon.training.loop.train` does.

    Args:
        net: The network of the job; it starts from its values if it has any.
        job: What to train; `warm` and `resume` are set here.
        folder: Of this run alone, seen by all machines under the same path.
        where: The machines, or who starts the processes; None for processes of this one.

    Raises:
        ConfigError: a network that cannot be trained so, or a checkpoint of another run.
        PnnError: a process failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = prepared(net, job, folder)
    launch(folder, where)
    result = dict(result_of(folder))
    history = tuple(EpochRecord(**record) for record in result.pop("history"))
    given = TrainingResult(history=history, **result)
    _put(net, job, folder, given.best_epoch)
    return given


def prepared(net: HybridBlock, job: Job, folder: Path) -> Job:
    """The job with what it starts from, written into its folder."""
    compact_network(job)  # raises if the network cannot be trained so
    warm = all(map(has_values, net.collect_params().values()))
    if warm:
        save_values(folder / START_FILE, take_values(net))
    checkpoints = Checkpoints(job.checkpoints(folder), {})
    newest = checkpoints.newest(fingerprint_of(job.training, job.feeder()))
    job = job.model_copy(update={"warm": warm, "resume": None if newest is None else newest[0].name})
    job.write(folder)
    return job


def _put(net: HybridBlock, job: Job, folder: Path, best: int) -> None:
    """Give the network what the servers have left."""
    plan = compact_network(job).plan
    checkpoints = Checkpoints(job.checkpoints(folder), {})
    prefix = checkpoints.best_prefix(best) if job.validation is not None else str(folder / "last.")
    values = whole_values(prefix, plan, job.model.size)
    initialize(net, [mx.cpu()], job.training.seed)
    shapes = shapes_of(net)
    first = first_rows(shapes)
    parts = {
        name: values[whole_name(name)][first[name] : first[name] + shape[0]].reshape(shape)
        for name, shape in shapes.items()
    }
    put_values(net, {name: mx.nd.array(part) for name, part in parts.items()}, prefix)
    net.hybridize(static_alloc=True)
