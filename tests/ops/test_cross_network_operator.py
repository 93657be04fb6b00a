"""The cross layers in one pass, native and plain; also where the inputs are not numbers."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.cross_network import CrossNetwork
from pnn_gluon.runtime import mx


@pytest.mark.parametrize("layers", [1, 2, 3, 17])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 16), (65, 37), (300, 78)])
def test_native_equals_plain(shape, layers):
    """Inputs are small, as products of 17 layers grow without bound."""

    def network():
        return Scaled(CrossNetwork(shape[1], layers), 0.3 / np.sqrt(shape[1]))

    check_twins(network, [shape])


class Scaled(mx.gluon.nn.HybridSequential):
    """The network on inputs that are multiplied by a number, so that x w is around it."""

    def __init__(self, network, scale):
        super().__init__()
        self.add(mx.gluon.nn.HybridLambda(lambda F, x: x * scale))
        self.add(network)


def test_not_a_number_stays_visible():
    x = np.ones((3, 20), np.float32)
    x[1, 19] = np.nan
    found = mx.nd.pnn_cross_network(mx.nd.array(x), mx.nd.ones((2, 20)), mx.nd.ones((2, 20))).asnumpy()
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(found[[0, 2]]).any()


def test_weights_of_another_width_are_refused():
    with pytest.raises(mx.MXNetError, match=r"weight and bias \(L, D\)"):
        mx.nd.pnn_cross_network(mx.nd.ones((2, 3)), mx.nd.ones((2, 4)), mx.nd.ones((2, 4)))
