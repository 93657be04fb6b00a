"""Models of the user's: a class by its import path, held to what the models of the library are held to.

The class is a HybridBlock, `MyNet(layout, size, *, ..., **kwargs)`: ids int32 (B, S) -> logits (B,). Its options are
keywords of types that a configuration can give; see `pnn_gluon.models.option.form_of`. Tables of ids are parameters
that `is_row_parameter` knows by name, one row an id.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from pnn_gluon.blocks.id_table import is_row_parameter, whole_shapes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.class_options import grouped, keywords, options_of_class
from pnn_gluon.models.declared import did_you_mean, table_of
from pnn_gluon.models.option import Option
from pnn_gluon.runtime import HybridBlock, mx

_ROWS = 2


def own_class(name: str) -> type[HybridBlock]:
    """The class that an import path `package.module:Class` names.

    Raises:
        ConfigError: it cannot be imported, or is no class of a model.
    """
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"model {name!r}: module {module!r} cannot be imported here ({error}); install its package, or put the "
            "folder that holds it on PYTHONPATH"
        ) from error
    block = getattr(found, attribute, None)
    if block is None:
        raise ConfigError(f"model {name!r}: {module} has no {attribute!r}{did_you_mean(attribute, vars(found))}")
    if not (isinstance(block, type) and issubclass(block, HybridBlock)):
        raise ConfigError(f"model {name!r}: expected a class derived from mxnet.gluon.HybridBlock, received {block!r}")
    try:
        inspect.signature(block).bind(None, None, prefix="")
    except TypeError as error:
        raise ConfigError(f"model {name!r}: expected __init__(layout, size, *, ..., **kwargs): {error}") from error
    return block


def create_own(name: str, layout: FieldLayout, size: int, options: Mapping[str, Any]) -> HybridBlock:
    """The model as `create_model` gives it.

    Raises:
        ConfigError: an option of another type than the class says, or a block that could not be trained, kept, started
            warm or scored; the message says what was expected.
    """
    net = _created(name, layout, size, options)
    larger = _created(name, layout, size + 1, options)
    _check_parameters(name, size, _shapes(net), _shapes(larger))
    _check_output(name, net, layout)
    return net


def _created(name: str, layout: FieldLayout, size: int, options: Mapping[str, Any]) -> HybridBlock:
    block: Any = own_class(name)
    prefix = f"{block.__name__.lower()}_"
    net: HybridBlock = block(layout, size, prefix=prefix, **grouped(keywords(block), _checked(name, block, options)))
    return net


def _checked(name: str, block: type[HybridBlock], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, each of the type that the class annotates."""
    declared = {key: Option(**each) for key, each in options_of_class(name, block).items()}
    try:
        return table_of("Own", declared).model_validate(dict(options)).model_dump(exclude_unset=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        option = ".".join(map(str, wrong["loc"]))
        raise ConfigError(f"model {name!r}: {option}: {wrong['msg']} (received {wrong['input']!r})") from None


def _shapes(net: HybridBlock) -> dict[str, tuple[int, ...]]:
    return whole_shapes({key: tuple(parameter.shape or ()) for key, parameter in net.collect_params().items()})


def _check_parameters(
    name: str, size: int, shapes: Mapping[str, tuple[int, ...]], larger: Mapping[str, tuple[int, ...]]
) -> None:
    """Names are the same each time, shapes are known, and one more id is one more row of each table of ids."""
    if odd := sorted(shapes.keys() ^ larger.keys()):
        raise ConfigError(
            f"model {name!r}: parameter {odd[0]!r} has another name in another network of the class: make children and "
            "parameters within `with self.name_scope():`"
        )
    for key, shape in shapes.items():
        if not shape or 0 in shape:
            raise ConfigError(
                f"model {name!r}: parameter {key!r} has no known shape {shape}: give in_units and the like"
            )
        if is_row_parameter(key) and (shape[0] != size or larger[key] != (size + 1, *shape[1:])):
            raise ConfigError(
                f"model {name!r}: parameter {key!r} is a table of ids by its name, so expected a row for each of the "
                f"{size} ids, received shape {shape}"
            )
        if not is_row_parameter(key) and larger[key] != shape:
            raise ConfigError(
                f"model {name!r}: parameter {key!r} {shape} grows with the number of ids but is no table of ids by its "
                "name: name it as pnn_gluon.blocks.embedding does"
            )


def _check_output(name: str, net: HybridBlock, layout: FieldLayout) -> None:
    _, outputs, _ = net(mx.sym.var("ids", dtype="int32")).infer_shape(ids=(_ROWS, layout.slots))
    if outputs != [(_ROWS,)]:
        raise ConfigError(
            f"model {name!r}: expected a logit for each row, shape (B,), received {outputs} for B = {_ROWS} rows"
        )
