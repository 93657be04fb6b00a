"""Layer normalization with an activation, native and plain."""

import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.normalization import LayerNorm


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 16), (65, 37), (200, 700), (4, 3, 20)])
def test_native_equals_plain(shape, activation):
    check_twins(lambda: LayerNorm(shape[-1], activation), [shape])
