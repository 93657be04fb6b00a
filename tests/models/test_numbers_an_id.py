"""How many numbers a model has for each id is what the parameters of its networks have."""

import math
from typing import Any

import pytest

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.linear_scores import LinearScores
from pnn_gluon.models.declared import declared_models
from pnn_gluon.models.registry import MODELS, create_model, model_options
from pnn_gluon.pipeline.room_for_ids import WIDEST
from pnn_gluon.runtime import HybridBlock, Tensor
from pnn_gluon.training.families import family_of

LAYOUT = FieldLayout(("a", "b", "c", "d", "e", "tags"), (1, 1, 1, 1, 1, 3))
NEEDED = {"din": {"candidate": "a", "history": "tags"}}


@pytest.mark.parametrize("size", [None, 6])
@pytest.mark.parametrize("name", MODELS)
def test_the_widest_table_of_a_network_has_so_many_numbers_an_id(name: str, size: int | None) -> None:
    sized = {"embedding_size": size} if size and "embedding_size" in model_options(name) else {}
    options = {**NEEDED.get(name, {}), **sized}
    net = create_model(name, LAYOUT, 50, **options)
    shapes = [parameter.shape for key, parameter in net.collect_params().items() if is_row_parameter(key)]
    numbers = family_of(name).numbers_an_id(name, options, LAYOUT)
    assert numbers == max(math.prod(shape) // 50 for shape in shapes)
    assert numbers <= WIDEST * LAYOUT.fields


def test_pieces_of_a_mixture_are_numbers_of_an_id() -> None:
    assert family_of("mlr").numbers_an_id("mlr", {"pieces": 9}, LAYOUT) == 9


def test_models_without_tables_have_one() -> None:
    others = set(declared_models()) - set(MODELS)
    assert {family_of(name).numbers_an_id(name, {}, LAYOUT) for name in others} == {1}


class OwnTable(HybridBlock):
    """A linear term of ours beside a table that nothing cuts."""

    def __init__(self, layout: FieldLayout, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._size = size
        with self.name_scope():
            self.linear = LinearScores(layout, size, 9)
            self.embedding_weight = self.params.get("embedding_weight", shape=(size, 7), grad_stype="row_sparse")

    def hybrid_forward(self, F: Any, ids: Tensor, embedding_weight: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B,)."""
        vectors = F.Embedding(ids, embedding_weight, input_dim=self._size, output_dim=7, sparse_grad=True)
        return F.sum(self.linear(ids), axis=1) + F.sum(vectors, axis=(1, 2))


@pytest.mark.parametrize("name", declared_models())
def test_tables_of_our_models_need_no_tensor_that_holds_them(name: str) -> None:
    assert family_of(name).numbers_an_id(name, NEEDED.get(name, {}), LAYOUT, cut=True) == 1


def test_only_tables_that_the_user_declares_himself_do() -> None:
    name = f"{__name__}:OwnTable"
    assert family_of(name).numbers_an_id(name, {}, LAYOUT) == 9
    assert family_of(name).numbers_an_id(name, {}, LAYOUT, cut=True) == 7
    name = "pnn_gluon.models.ffm:FFM"
    assert family_of(name).numbers_an_id(name, {}, LAYOUT, cut=True) == 1


def test_a_model_of_the_users_is_asked_itself() -> None:
    name = "pnn_gluon.models.ffm:FFM"
    assert family_of(name).numbers_an_id(name, {"embedding_size": 3}, LAYOUT) == 15
