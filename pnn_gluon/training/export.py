"""The plain graph of a trained network as files, the network from them, and scores that depend on their row alone.

The bits of MXNet's dense layers depend on the number of rows of the batch (another number takes another path through
the matrix product) but not on the place of a row in it. So `predict_logits` gives every batch the same number of rows,
filling up the last one with padding; a network of our own operators, whose bits do not, is given the rows alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import is_row_parameter, whole_name
from pnn_gluon.disk_errors import naming
from pnn_gluon.errors import InputError
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.cut_tables import by_whole_name, cut_anew, named_parts
from pnn_gluon.training.parameters import (
    Values,
    named_parameters,
    put_values,
    read_values,
    refuse_other_shapes,
    save_values,
)
from pnn_gluon.training.row_bits import keeps_bits

SYMBOL_FILE = "model-symbol.json"
PARAMETERS_FILE = "model-0000.params"

SCORING_ROWS = 4096
"""Rows of a scoring batch; part of what decides the last bits of a logit."""


def export_model(net: HybridBlock, folder: Path, slots: int) -> tuple[Path, Path]:
    """Write `model-symbol.json` and `model-0000.params` into an existing folder; equal networks give equal bytes.

    Args:
        net: Trained network of `create_model`: ids int32 (B, S) -> logits (B,). It is hybridized.
        folder: Where to write.
        slots: S.

    Raises:
        OSError: when the disk did not take the whole files.
    """
    with plain_operators():
        net.hybridize(static_alloc=True)
        predict_logits(net, np.zeros((1, slots), np.int32), batch_size=1)
        graph = net._cached_graph[1]
        with naming(folder / SYMBOL_FILE):  # Gluon's own export ends the process when the disk is full
            (folder / SYMBOL_FILE).write_text(graph.tojson())
        save_values(folder / PARAMETERS_FILE, _as_exported(net, graph))
    net.hybridize(static_alloc=True)
    return folder / SYMBOL_FILE, folder / PARAMETERS_FILE


def _as_exported(net: HybridBlock, graph: Any) -> Values:
    """The arrays of a graph in the order and under the names that Gluon's own export gives them."""
    kinds = dict.fromkeys(graph.list_arguments(), "arg") | dict.fromkeys(graph.list_auxiliary_states(), "aux")
    parameters = [parameter for is_data, parameter in net._cached_op_args if not is_data and parameter.name in kinds]
    return {f"{kinds[each.name]}:{each.name}": _value(each) for each in parameters}


def _value(parameter: Any) -> Any:
    """Its value itself on a single device, else the mean over its devices."""
    held = parameter.list_data()
    return held[0] if len(held) == 1 else parameter._reduce()


def exported_values(net: HybridBlock, folder: Path) -> Values:
    """The values of an exported network, by the structural names of `net`, a network of the same model.

    Tables of ids are cut as in a network of as many ids that is made now, however they were.

    Raises:
        InputError: the file cannot be read, or holds other parameters than `net` has.
    """
    stored = {name.partition(":")[2]: value for name, value in read_values(folder / PARAMETERS_FILE).items()}
    found = by_whole_name(stored, str(folder))
    names = {whole_name(each.name): whole_name(structural) for structural, each in named_parameters(net).items()}
    if names.keys() != found.keys():
        raise InputError(
            f"{folder}: parameters {sorted(names.keys() ^ found.keys())} are only in one of the two models"
        )
    values: Values = {}
    for name, parts in found.items():
        values |= named_parts(names[name], cut_anew(parts) if is_row_parameter(name) else parts)
    return values


def load_exported(folder: Path, context: Any = None) -> HybridBlock:
    """The exported network on a device (the CPU if not told), hybridized, for inference.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        symbol = mx.sym.load(str(folder / SYMBOL_FILE))
        net: HybridBlock = mx.gluon.SymbolBlock(symbol, mx.sym.var("data", dtype="int32"))
        net.collect_params().load_dict(read_values(folder / PARAMETERS_FILE), ctx=context or mx.cpu())
    except (mx.MXNetError, OSError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(f"{folder}: cannot be read as an exported model ({reason}); export it again") from error
    net.hybridize(static_alloc=True)
    return net


def restore_exported(net: HybridBlock, folder: Path, context: Any = None) -> HybridBlock:
    """A network of `create_model` without values, given the exported ones on a device (the CPU if not told).

    It is hybridized, for inference only: no memory is taken for gradients. Unlike `load_exported`, it computes with
    the native operators where they serve.

    Raises:
        InputError: the file cannot be read, or is not of this model.
    """
    values = exported_values(net, folder)
    refuse_other_shapes(net, values, str(folder))  # before memory is taken for those of the network
    net.collect_params().setattr("grad_req", "null")
    for parameter in net.collect_params().values():  # zeros at first: large tables take long to draw
        parameter.initialize(init=mx.init.Zero(), ctx=context or mx.cpu())
    put_values(net, values, str(folder))
    net.hybridize(static_alloc=True)
    return net


def predict_logits(net: HybridBlock, ids: NDArray[np.int32], batch_size: int = SCORING_ROWS) -> NDArray[np.float32]:
    """Logits (rows,) of ids int32 (rows, S), without dropout.

    A row's logit is the same bits whatever other rows come with it, for equal `batch_size` and thread count.
    """
    context = next(iter(net.collect_params().values())).list_ctx()[0]
    logits = np.empty(len(ids), np.float32)
    for start in range(0, len(ids), batch_size):
        rows = ids[start : start + batch_size]
        batch = mx.nd.array(rows, dtype="int32", ctx=context)
        if len(rows) < batch_size and not keeps_bits(net, batch):
            padding = np.zeros((batch_size - len(rows), ids.shape[1]), np.int32)
            batch = mx.nd.array(np.concatenate((rows, padding)), dtype="int32", ctx=context)
        logits[start : start + len(rows)] = net(batch).asnumpy()[: len(rows)]
    return logits
