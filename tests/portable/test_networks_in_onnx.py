"""Every network of the zoo as an ONNX file: the logits of the plain graph, to 1e-5."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_models import int32

from pnn_gluon.blocks.activation import ACTIVATIONS
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.models.declared import declared
from pnn_gluon.models.registry import MODELS
from pnn_gluon.ops import dense_precision
from pnn_gluon.training.export import load_exported
from tests.models.model_checks import LAYOUTS, small_model, some_ids
from tests.portable.onnx_files import randomized, session_of_network

WIDE = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1, "c": 1, "d": 1, "past": 2})
OPTIONS = [
    *(("fnn", {"activation": name, "normalization": how}) for name in ACTIVATIONS for how in NORMALIZATIONS),
    *(("din", {"attention_activation": name}) for name in ACTIVATIONS),
    *(("deepcross", {"normalization": how}) for how in NORMALIZATIONS),
    *((name, {"kernel": kernel}) for name in ("kfm", "kpnn") for kernel in ("matrix", "vector", "number")),
    *((name, {"normalization": how}) for name in ("pin", "ipnn", "kpnn") for how in NORMALIZATIONS),
    ("ccpm", {"pooled_values": 1, "filters": (2,)}),
    ("afm", {"temperature": 2.0}),
    ("fnn", {"dropout": 0.5}),
]


def made(name: str, layout: FieldLayout, **options: Any) -> Any:
    if name == "din":
        options["history"] = "tags" if layout.has_multi_valued else "d"
    return randomized(small_model(name, layout, **options))


def check(net: Any, folder: Path, layout: FieldLayout) -> None:
    """Batches of any number of rows have the logits of the plain graph, and of the native operators."""
    session, ids = session_of_network(net, folder, layout), some_ids(layout, 40)
    plain = load_exported(folder)
    with dense_precision("f32"):
        net.hybridize()
        native = net(int32(ids)).asnumpy()
    for rows in (0, 1, 7, 40):
        (found,) = session.run(["logit"], {"ids": ids[:rows]})
        assert found.shape == (rows,)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, native[:rows], rtol=1e-5, atol=1e-5)
        if rows:
            np.testing.assert_allclose(found, plain(int32(ids[:rows])).asnumpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", [LAYOUTS["single"], WIDE], ids=["single", "multi"])
@pytest.mark.parametrize("name", MODELS)
def test_a_network_has_the_logits_of_its_plain_graph(name: str, layout: FieldLayout, tmp_path: Path) -> None:
    check(made(name, layout), tmp_path, layout)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda value: str(value).replace(" ", ""))
def test_so_have_networks_of_other_operators(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    assert options.keys() <= declared(name).options.keys() | {"filters"}
    check(made(name, WIDE, **options), tmp_path, WIDE)
