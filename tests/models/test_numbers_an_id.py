"""How many numbers a model has for each id is what the parameters of its networks have."""

import math

import pytest

from pnn_gluon.blocks.embedding import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.declared import declared_models
from pnn_gluon.models.registry import MODELS, create_model, model_options
from pnn_gluon.pipeline.room_for_ids import WIDEST
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


def test_a_model_of_the_users_is_asked_itself() -> None:
    name = "pnn_gluon.models.ffm:FFM"
    assert family_of(name).numbers_an_id(name, {"embedding_size": 3}, LAYOUT) == 15
