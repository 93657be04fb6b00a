"""The same network with tables of one tensor and of several, which a lower limit makes of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pnn_gluon.blocks import id_table
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.runtime import mx
from pnn_gluon.training.cut_tables import by_whole_name, cut_anew, named_parts
from pnn_gluon.training.devices import initialize
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.parameters import put_values, take_values
from tests.models.model_checks import LAYOUTS, SMALL

LAYOUT = LAYOUTS["multi"]
SIZE = 30
LIMIT = 20
"""Numbers of a tensor: two parts of a linear term, ten of embeddings of three numbers."""

WHOLE = id_table.LARGEST_TENSOR


@contextmanager
def tensors_of(most: int) -> Iterator[None]:
    """Networks that are made meanwhile have tables of so many numbers a tensor."""
    before, id_table.LARGEST_TENSOR = id_table.LARGEST_TENSOR, most
    try:
        yield
    finally:
        id_table.LARGEST_TENSOR = before


def network(name, layout=LAYOUT, size=SIZE, **options):
    small = {option: value for option, value in SMALL.items() if option in model_options(name)}
    return create_model(name, layout, size, **(small | options))


def started(name, layout=LAYOUT, **options):
    """A network with the values that one of whole tables is drawn from seed 1 with."""
    with tensors_of(WHOLE):
        drawn = network(name, layout, **options)
        initialize(drawn, [mx.cpu()], 1)
    net = network(name, layout, **options)
    net.initialize()
    put_values(net, as_cut_now(take_values(drawn)))
    return net


def as_cut_now(values):
    """Values with every table as a network made now has it."""
    found = {}
    for name, parts in by_whole_name(values).items():
        found |= named_parts(name, cut_anew(parts) if id_table.is_row_parameter(name) else parts)
    return found


def whole_values(values):
    """Values by the names of whole tables, as numpy's."""
    return {
        name: np.concatenate([part.asnumpy() for part in parts]) if len(parts) > 1 else parts[0].asnumpy()
        for name, parts in by_whole_name(values).items()
    }


def rows(layout, number=160, seed=0):
    """Ids of few of the tables' parts in the first rows, padding, and labels."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, SIZE, (number, layout.slots)).astype(np.int32)
    ids[:32] %= 7
    ids[::3, 1] = 0
    return ids, (random.random(number) < 0.4).astype(np.float32)


def loss_of(net):
    """Mean log loss of other rows."""
    ids, label = rows(LAYOUT, 50, seed=1)
    logits = predict_logits(net, ids, 50).astype(np.float64)
    return float(np.mean(np.log1p(np.exp(-np.where(label > 0, 1, -1) * logits))))
