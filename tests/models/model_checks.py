"""What every model is held to: its equation in float64 numpy, forward and all gradients.

A test file of a model gives an oracle `logits(layout, ids, values)`: values are the float64 parameters by structural
name, such as `embedding.embedding_weight` or `mlp.layers.0.weight`.
"""

import numpy as np
from numpy_models import backward, finite_differences, gradients, int32, randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model, model_options

LAYOUTS = {
    "single": FieldLayout.single_valued(("a", "b", "c", "d")),
    "multi": FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1, "c": 1}),
}
SIZE, K, ROWS = 8, 3, 5

SMALL = {
    "embedding_size": K,
    "hidden": (4, 3),
    "activation": "tanh",
    "normalization": "none",
    "attention_size": 2,
    "subnet_hidden": 4,
    "subnet_outputs": 2,
    "kernel_width": 3,
    "filters": (3, 2),
    "pooled_values": 2,
    "crosses": (("a", "b"),),
    "cross_buckets": SIZE - 1,  # a table of V rows, so that a test of the rows of ids reaches its padding row too
    "residual_units": (4, 3),
    "pieces": 3,
    "cross_layers": 2,
    "feature_maps": (3, 2),
    "attention_layers": 2,
    "heads": 2,
    "head_size": 2,
    "candidate": "a",
    "history": "tags",
    "attention_hidden": (3,),
    "attention_activation": "tanh",
}
"""Small values of options; a model gets those that it takes."""


def small_model(name, layout, **options):
    """The model in the small, with smooth activations."""
    small = {option: value for option, value in SMALL.items() if option in model_options(name)}
    return create_model(name, layout, SIZE, **(small | options))


def some_ids(layout, rows=ROWS, seed=1):
    """Random ids (B, S); rows 0 and 1 of a layout with multi-valued fields have none and one of their values."""
    ids = np.random.default_rng(seed).integers(1, SIZE, (rows, layout.slots)).astype(np.int32)
    for start, width in zip(layout.starts, layout.widths, strict=True):
        if width > 1:
            ids[0, start : start + width] = 0
            ids[1, start + 1 : start + width] = 0
    return ids


def check_equation(name, oracle, layout, hybrid, seed=2, **options):
    """Logits and the gradients of all parameters equal the oracle's."""
    net, ids = small_model(name, layout, **options), some_ids(layout)
    values = randomize(net, seed)
    net.hybridize(active=hybrid, **({"static_alloc": True} if hybrid else {}))
    weights = np.random.default_rng(3).normal(size=len(ids))
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, oracle(layout, ids, values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(layout, ids, v) * weights).sum(), values)
    for parameter, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[parameter], rtol=2e-3, atol=1e-4, err_msg=parameter)
