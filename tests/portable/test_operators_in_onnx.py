"""Operators of MXNet one by one in ONNX: the numbers of MXNet, or an error that names operator and node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.portable.export import LOGIT, ids_of, network_graph
from pnn_gluon.portable.network import OPERATORS
from pnn_gluon.runtime import mx
from tests.portable.onnx_files import session_of, write_symbol

LAYOUT = FieldLayout.single_valued(("a", "b", "c", "d", "e", "f"))
ROWS = np.random.default_rng(1).integers(1, 9, (5, 6)).astype(np.int32)
SOME = np.random.default_rng(2).normal(size=(6, 6)).astype(np.float32)


def as_numbers(F: Any, data: Any) -> Any:
    return F.cast(data, dtype="float32") * 0.3 - 1.5


def summed(F: Any, x: Any) -> Any:
    """Any tensor with the rows first as logits (B,), each of its numbers with another weight."""
    flat = F.reshape(x, shape=(0, -1))
    return F.reshape(F.FullyConnected(flat, F.var("p0"), num_hidden=1, no_bias=True), shape=(-1,))


CASES: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "tanh": (6, lambda F, x: F.tanh(x)),
    "exp": (6, lambda F, x: F.exp(x)),
    "log": (6, lambda F, x: F.log(F.square(x) + 1)),
    "sqrt": (6, lambda F, x: F.sqrt(F.square(x))),
    "rsqrt": (6, lambda F, x: F.rsqrt(F.square(x) + 0.1)),
    "negative": (6, lambda F, x: F.negative(x)),
    "scalars": (6, lambda F, x: (2 - (x - 1) * 3) / 4 + 5),
    "limits": (6, lambda F, x: F.minimum(F.maximum(x, -0.5), 0.5)),
    "not equal": (6, lambda F, x: (x != 0) * x),
    "filled": (6, lambda F, x: F.ones_like(x) * 3 + F.zeros_like(x)),
    "softplus": (6, lambda F, x: F.Activation(x, act_type="softrelu")),
    "tile": (12, lambda F, x: F.tile(x, reps=(1, 2))),
    "repeat": (18, lambda F, x: F.repeat(x, repeats=3, axis=1)),
    "repeat in the middle": (24, lambda F, x: F.repeat(F.reshape(x, shape=(-1, 2, 3)), repeats=4, axis=1)),
    "repeat of one, twice": (
        12,
        lambda F, x: (
            F.repeat(F.expand_dims(x, axis=2), repeats=2, axis=2)
            + F.repeat(F.expand_dims(x * x, axis=2), repeats=2, axis=2)
        ),
    ),
    "stack": (12, lambda F, x: F.stack(x, x * 2, axis=2)),
    "split": (6, lambda F, x: F.concat(*reversed(F.SliceChannel(x, num_outputs=3, axis=1)), dim=1)),
    "split and squeezed": (2, lambda F, x: F.stack(*F.SliceChannel(x, num_outputs=6, squeeze_axis=True)[1:3], axis=1)),
    "slice to the end": (3, lambda F, x: F.slice_axis(x, axis=1, begin=3, end=None)),
    "slice from the end": (2, lambda F, x: F.slice_axis(x, axis=1, begin=-3, end=-1)),
    "sort": (6, lambda F, x: F.sort(x, axis=1)),
    "largest": (2, lambda F, x: F.topk(x, axis=1, k=2, ret_typ="indices")),
    "sum of axes": (1, lambda F, x: F.sum(F.reshape(x, shape=(-1, 2, 3)), axis=(1, 2), keepdims=True)),
    "greatest": (3, lambda F, x: F.max(F.reshape(x, shape=(-1, 2, 3)), axis=1)),
    "greatest of a row": (2, lambda F, x: F.Pooling(F.reshape(x, shape=(-1, 2, 3)), global_pool=True, kernel=(1,))),
    "softmax": (6, lambda F, x: F.softmax(x, axis=1, temperature=0.5)),
    "logarithm of softmax": (6, lambda F, x: F.log_softmax(x, axis=1)),
    "product": (6, lambda F, x: F.dot(x, F.var("p1"))),
    "product with the transposed": (6, lambda F, x: F.dot(x, F.var("p1"), transpose_b=True)),
    "product of the transposed": (
        9,
        lambda F, x: F.batch_dot(F.reshape(x, shape=(-1, 2, 3)), F.reshape(x, shape=(-1, 2, 3)), transpose_a=True),
    ),
    "triangle of a matrix": (
        6,
        lambda F, x: F.linalg.extracttrian(
            F.reshape(F.slice_axis(F.tile(x, reps=(1, 2)), axis=1, begin=0, end=9), shape=(-1, 3, 3))
        ),
    ),
    "triangle of a matrix without the diagonal": (
        1,
        lambda F, x: F.linalg.extracttrian(
            F.reshape(F.slice_axis(x, axis=1, begin=0, end=4), shape=(-1, 2, 2)), offset=-1
        ),
    ),
    "matrix of a triangle": (9, lambda F, x: F.linalg.maketrian(x)),
    "matrix of a triangle without the diagonal": (16, lambda F, x: F.linalg.maketrian(x, offset=-1)),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_the_numbers_of_mxnet(case: str, tmp_path: Path) -> None:
    width, make = CASES[case]
    weights = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis] + 0.3
    symbol = write_symbol(tmp_path, lambda F, data, *_: summed(F, make(F, as_numbers(F, data))), weights, SOME)
    given = {"data": mx.nd.array(ROWS, dtype="int32"), "p0": mx.nd.array(weights), "p1": mx.nd.array(SOME)}
    expected = mx.nd.CachedOp(symbol)(*(given[name] for name in symbol.list_inputs())).asnumpy()
    np.testing.assert_allclose(found_in(tmp_path, ROWS), expected, rtol=1e-5, atol=1e-6)
    assert found_in(tmp_path, ROWS[:0]).shape == (0,)


def found_in(folder: Path, rows: np.ndarray) -> np.ndarray:
    network_graph(folder, "test", LAYOUT).write(folder / "m.onnx", [ids_of(LAYOUT)], [LOGIT], {})
    return session_of(folder / "m.onnx").run(None, {"ids": rows})[0]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda F, x: F.sin(x, name="wave"), r"operator sin \(wave\) has no ONNX form here"),
        (lambda F, x: F.Activation(x, act_type="softsign", name="a"), r"Activation \(a\) .* act_type = 'softsign'"),
        (lambda F, x: F.LeakyReLU(x, act_type="gelu", name="a"), r"LeakyReLU \(a\) .* 'gelu', expected 'elu'"),
        (lambda F, x: F.LeakyReLU(x, name="a"), r"LeakyReLU \(a\) .* no act_type is given"),
        (lambda F, x: F.Dropout(x, p=0.5, mode="always", name="a"), r"Dropout \(a\) .* 'always', expected 'training'"),
        (lambda F, x: F.repeat(x, repeats=2, name="a"), r"repeat \(a\) .* no axis is given"),
        (lambda F, x: F.sum(x, axis=0, exclude=True, name="a"), r"sum \(a\) .* exclude = True, expected False"),
        (
            lambda F, x: F.Pooling(F.reshape(x, shape=(-1, 2, 3)), kernel=(2,), name="a"),
            r"Pooling \(a\) .* no global_pool is given",
        ),
        (lambda F, x: F.sort(x, axis=1, is_ascend=False, name="a"), r"sort \(a\) .* is_ascend = False, expected True"),
        (lambda F, x: F.sort(x, axis=0, name="a"), r"sort \(a\) .* along the rows"),
        (lambda F, x: x % 2.0, r"_mod_scalar .* floating point"),
        (lambda F, x: F.tile(x, reps=(2, 1, 1), name="a"), r"tile \(a\) .* add dimensions"),
        (lambda F, x: F.dot(F.reshape(x, shape=(-1, 2, 3)), F.var("p1"), name="a"), r"dot \(a\) .* two matrices"),
        (
            lambda F, x: F.linalg.extracttrian(F.reshape(x, shape=(-1, 2, 2)), offset=1, name="a"),
            r"_linalg_extracttrian \(a\) .* below a diagonal",
        ),
        (lambda F, x: F.linalg.maketrian(x, offset=1, name="a"), r"_linalg_maketrian \(a\) .* below a diagonal"),
    ],
)
def test_what_has_no_onnx_form_is_refused_by_name(make: Callable[..., Any], said: str, tmp_path: Path) -> None:
    shape = np.ones((3, 3) if "dot" in said else (1, 1))
    write_symbol(
        tmp_path,
        lambda F, data, *_: F.sum(F.reshape(make(F, as_numbers(F, data)), shape=(0, -1)), axis=1),
        shape,
        shape,
    )
    with pytest.raises(ConfigError, match=said):
        network_graph(tmp_path, "test", LAYOUT)


def test_an_id_that_the_table_does_not_have_is_an_error(tmp_path: Path) -> None:
    def logits(F: Any, data: Any, table: Any) -> Any:
        found = F.Embedding(data, table, input_dim=4, output_dim=1)
        return F.sum(F.reshape(found, shape=(0, -1)), axis=1)

    write_symbol(tmp_path, logits, np.array([[0], [1], [2], [3]]))
    network_graph(tmp_path, "test", LAYOUT).write(tmp_path / "m.onnx", [ids_of(LAYOUT)], [LOGIT], {})
    session, ids = session_of(tmp_path / "m.onnx"), np.full((1, 6), 3, np.int32)
    assert session.run(None, {"ids": ids})[0] == [18]
    with pytest.raises(Exception, match="indices element out of data bounds"):
        session.run(None, {"ids": ids + 1})


def test_a_damaged_graph_is_refused(tmp_path: Path) -> None:
    write_symbol(tmp_path, lambda F, data, *_: F.sum(as_numbers(F, data), axis=1))
    (tmp_path / "model-symbol.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as an exported model"):
        network_graph(tmp_path, "test", LAYOUT)


def test_operators_are_named_once() -> None:
    from pnn_gluon.portable.arrangement import ARRANGEMENT
    from pnn_gluon.portable.elementwise import ELEMENTWISE
    from pnn_gluon.portable.layers import LAYERS

    assert len(OPERATORS) == len(ARRANGEMENT) + len(ELEMENTWISE) + len(LAYERS)
