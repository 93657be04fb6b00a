"""Whether a network computes a row to the same bits in a batch of any size, as its graph tells."""

import json
from typing import Any

from pnn_gluon.runtime import HybridBlock, Tensor

SAME_BITS = frozenset(
    {
        *("Activation", "BatchNorm", "BlockGrad", "Cast", "Concat", "Dropout", "Reshape", "SliceChannel", "_copy"),
        *("_div_scalar", "_maximum_scalar", "_minimum_scalar", "_mod_scalar", "_mul_scalar", "_not_equal_scalar"),
        *("_plus_scalar", "_rminus_scalar", "add_n", "broadcast_add", "broadcast_div", "broadcast_mul"),
        *("broadcast_sub", "elemwise_add", "elemwise_mul", "elemwise_sub", "exp", "expand_dims", "log", "log_softmax"),
        *("max", "ones_like", "relu", "repeat", "rsqrt", "sigmoid", "slice_axis", "softmax", "sqrt", "square", "sum"),
        *("transpose", "zeros_like"),
    }
)
"""Operators of MXNet that add up a row's numbers in the same order whatever the number of rows; its matrix products
and convolutions do not."""

OURS = "pnn_"
"""So the names of our own operators begin, all of which do."""


def keeps_bits(net: HybridBlock, ids: Tensor) -> bool:
    """Whether the bits of a row's logit do not depend on how many rows are computed with it; False if not known.

    Args:
        net: Of a network that is hybridized its graph is looked at once.
        ids: Of some rows.
    """
    if not net._active:
        return False
    graph = net._get_graph(ids)[1]
    known: tuple[Any, bool] | None = net.__dict__.get("_keeps_bits")
    if known is None or known[0] is not graph:
        known = net.__dict__["_keeps_bits"] = (graph, _all_keep_bits(graph))
    return known[1]


def _all_keep_bits(graph: Any) -> bool:
    operators = {node["op"] for node in json.loads(graph.tojson())["nodes"]} - {"null"}
    return all(name in SAME_BITS or name.startswith(OURS) for name in operators)
