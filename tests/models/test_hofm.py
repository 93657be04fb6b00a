"""hofm: the factorization machine of order three."""

from itertools import combinations

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import field_vectors, inner_products, int32, linear, randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx


def hofm(layout, ids, values):
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    u = field_vectors(layout, ids, values["third_embedding.embedding_weight"])
    triples = [sum((x[i] * x[j] * x[k]).sum() for i, j, k in combinations(range(len(x)), 3)) for x in u]
    lr = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    return lr + inner_products(v).sum(axis=1) + np.array(triples)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_logits_and_gradients_equal_the_equation(layout, hybrid):
    check_equation("hofm", hofm, layout, hybrid)


def test_hofm_without_third_order_embeddings_is_fm():
    layout = LAYOUTS["multi"]
    ids, hofm, fm = int32(some_ids(layout)), small_model("hofm", layout), small_model("fm", layout)
    for net in (hofm, fm):
        randomize(net, 3)
    hofm.third_embedding.embedding_weight.set_data(mx.nd.zeros((SIZE, K)))
    for name, parameter in fm._collect_params_with_prefix().items():
        parameter.set_data(hofm._collect_params_with_prefix()[name].data())
    np.testing.assert_array_equal(hofm(ids).asnumpy(), fm(ids).asnumpy())


def test_two_fields_have_no_third_order():
    with pytest.raises(ConfigError, match="three fields or more"):
        small_model("hofm", FieldLayout.single_valued(("a", "b")))
