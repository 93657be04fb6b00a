"""What models declare in their files is what configurations are checked by, without MXNet."""

import dataclasses
import subprocess
import sys
from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from pnn_gluon.config import ModelConfig
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.declare import declarations
from pnn_gluon.models.declared import TABLE, declared_models, default_options, fields_of, resolved_options
from pnn_gluon.models.gbdt import GBDTOptions
from pnn_gluon.models.option import annotation_of, form_of
from pnn_gluon.models.registry import MODELS, model_options
from pnn_gluon.option_types import FieldName, Widths


def test_the_table_is_what_the_files_declare():
    assert TABLE.read_text() == declarations(), "run: python -m pnn_gluon.models.declare"


def test_the_defaults_are_those_of_the_classes():
    assert {name: default_options(name) for name in MODELS} == {name: model_options(name) for name in MODELS}
    assert default_options("gbdt") == dataclasses.asdict(GBDTOptions())
    assert set(declared_models()) == {*MODELS, "gbdt"}


def test_resolved_options_are_the_given_ones_over_the_defaults():
    assert resolved_options("mlr", {}) == {"pieces": 4}
    assert resolved_options("mlr", {"pieces": 7}) == {"pieces": 7}
    assert ModelConfig(name="mlr").resolved == {"pieces": 4}


def test_a_configuration_is_checked_without_mxnet():
    code = (
        "import sys; from pnn_gluon.config import ModelConfig; ModelConfig(name='din', history='a', candidate='b');"
        "sys.exit('mxnet' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Annotated[int, Field(ge=2, lt=5)], 4, 5),
        (Annotated[float, Field(gt=0)], 0.5, 0),
        (Literal["a", "b"], "b", "c"),
        (Widths, [3, 1], [0]),
        (FieldName, "c1", "C 1"),
        (tuple[tuple[FieldName, FieldName], ...], [["a", "b"]], [["a"]]),
        (Annotated[int, Field(ge=2)] | None, 2, 1),
        (bool, True, "x"),
    ],
)
def test_a_type_is_the_same_after_the_table(hint, good, bad):
    again = TypeAdapter(annotation_of(form_of(hint, "here")))
    assert again.validate_python(good) == TypeAdapter(hint).validate_python(good)
    with pytest.raises(ValidationError):
        again.validate_python(bad)


def test_a_type_that_no_configuration_can_give_is_refused():
    with pytest.raises(ConfigError, match=r"model 'x', option 'y': its type is .*dict.*expected bool, int"):
        form_of(dict[str, int], "model 'x', option 'y'")


def test_options_that_name_fields_are_known_by_their_type():
    assert fields_of("din", {"candidate": "a", "history": "b", "hidden": (3,)}) == {"a", "b"}
    assert fields_of("wdl", {"crosses": (("a", "b"), ("a", "c"))}) == {"a", "b", "c"}
