"""What servers keep on disk: their part of a checkpoint or of the best parameters, one file each."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.atomic import sync_file
from pnn_gluon.cluster.plan import Plan
from pnn_gluon.errors import InputError
from pnn_gluon.runtime import mx
from pnn_gluon.training.parameters import Values, read_values, save_values

FIXED_FILE = "fixed.params"
"""Parameters that are not trained, of the first worker."""


def server_file(server: int) -> str:
    """Name of a server's file."""
    return f"server-{server:04d}.params"


def piece_name(table: str, number: int) -> str:
    """Name of a piece of a table in a file."""
    return f"{table}/{number}"


def state_name(name: str, part: int | str) -> str:
    """Name of a part of the optimizer's state of what has a name."""
    return f"{name}:{part}"


def write(path: Path, values: Values) -> None:
    """Write a file, which appears under its name when it is whole and on disk."""
    partial = path.with_name(f"{path.name}.partial")
    save_values(partial, values or {"none": mx.nd.zeros(1)})
    sync_file(partial)
    partial.replace(path)


def whole_values(prefix: str, plan: Plan, size: int) -> dict[str, NDArray[np.float32]]:
    """All parameters from the files of all servers whose names begin so, the tables put together again.

    Raises:
        InputError: a file is missing or damaged, or of another plan.
    """
    stored: Values = read_values(Path(prefix + FIXED_FILE))
    for server in range(plan.servers):
        stored |= read_values(Path(prefix + server_file(server)))
    try:
        values = {name: stored[name].asnumpy() for dense in (*plan.dense, plan.fixed) for name in dense.shapes}
        for piece in plan.pieces:
            table = values.setdefault(piece.table, np.empty((size, piece.width), np.float32))
            table[piece.number :: plan.cut] = stored[piece_name(piece.table, piece.number)].asnumpy()
    except (KeyError, ValueError) as error:
        raise InputError(f"{prefix}*: not the parameters of this run ({error!r})") from error
    return values
