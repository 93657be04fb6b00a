"""Field-aware products, native and plain."""

import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.field_aware_product import FieldAwareProduct
from pnn_gluon.blocks.layout import FieldLayout


@pytest.mark.parametrize(("rows", "fields", "k"), [(1, 2, 1), (3, 5, 4), (70, 6, 8), (65, 3, 5), (40, 39, 2)])
def test_native_equals_plain(rows, fields, k):
    layout = FieldLayout.single_valued(tuple(f"f{i}" for i in range(fields)))
    check_twins(lambda: FieldAwareProduct(layout, k), [(rows, fields, (fields - 1) * k)])
