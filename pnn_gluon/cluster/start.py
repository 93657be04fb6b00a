"""Where the parameters of a cluster start: at a checkpoint, at given values, or drawn from the seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import whole_name
from pnn_gluon.cluster.job import START_FILE, Job
from pnn_gluon.cluster.kept import FIXED_FILE, piece_name, server_file
from pnn_gluon.cluster.plan import Piece, Plan
from pnn_gluon.runtime import Tensor, mx
from pnn_gluon.training.checkpoint import STATE, read_state
from pnn_gluon.training.cut_tables import by_whole_name
from pnn_gluon.training.devices import initialize
from pnn_gluon.training.history import steps_of
from pnn_gluon.training.parameters import Values, named_parameters, read_values


@dataclass(frozen=True)
class Start:
    """Where a server starts.

    Attributes:
        values: Its parameters and pieces of tables by name and, from a checkpoint, the optimizer's states.
        steps: Updates made before.
    """

    values: Mapping[str, NDArray[Any]]
    steps: int


def start_of(job: Job, plan: Plan, folder: Path, checkpoint: Path | None, server: int) -> Start:
    """Where a server starts.

    Values that are drawn are those that one process draws from the same seed: for a moment each server holds the whole
    network.

    Args:
        job: What to train.
        plan: Where its parameters lie.
        folder: Of the job.
        checkpoint: Folder of the checkpoint to go on from; None to start.
        server: Which server.
    """
    if checkpoint is not None:
        saved = read_values(checkpoint / server_file(server)) | read_values(checkpoint / FIXED_FILE)
        state, _ = read_state(checkpoint / STATE)
        return Start({name: array.asnumpy() for name, array in saved.items()}, steps_of(state.history) + state.batch)
    values = read_values(folder / START_FILE) if job.warm else _drawn(job)
    tables = {name: parts for name, parts in by_whole_name(values).items() if name in plan.tables}
    whole = {name: array.asnumpy() for name, array in values.items() if whole_name(name) not in tables}
    for piece in plan.pieces:
        if piece.server == server:
            whole[piece_name(piece.table, piece.number)] = _rows_of(piece, tables[piece.table], plan.cut)
    return Start(whole, 0)


def _rows_of(piece: Piece, parts: list[Tensor], cut: int) -> NDArray[Any]:
    """The rows of a piece, from the parts of its table."""
    found, first = [], 0
    for part in parts:
        found.append(part.asnumpy().reshape((-1, piece.width))[(piece.number - first) % cut :: cut])
        first += len(part)
    return np.concatenate(found)


def _drawn(job: Job) -> Values:
    net = job.model.create(job.model.size)
    net.collect_params().setattr("grad_req", "null")
    initialize(net, [mx.cpu()], job.training.seed)
    return {name: parameter.data() for name, parameter in named_parameters(net).items()}
