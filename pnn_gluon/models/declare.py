"""Writes the table of what the models' files declare, `options.json`: python -m pnn_gluon.models.declare."""

import json
from typing import Any

from pnn_gluon.blocks.embedding import widest_table
from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.class_options import options_of_class, options_of_group
from pnn_gluon.models.declared import NUMBERS, TABLE, TRAITS
from pnn_gluon.models.gbdt import GBDTOptions
from pnn_gluon.models.registry import MODELS, create_model, model_class
from pnn_gluon.runtime import HybridBlock, mx

EXACT_UNITS = 4
"""Dense layers of up to so many units are float32 with any precision, see `pnn_gluon.blocks.dense`."""

_LAYOUT = FieldLayout(("a", "tags", "b", "c"), (1, 3, 1, 1))
_SIZE = 11


def declarations() -> str:
    """The text of the table, from the models' files."""
    table: dict[str, Any] = {name: _network(name) for name in MODELS}
    table["gbdt"] = {"family": "trees", "has": [], "numbers": "one", "options": options_of_group("gbdt", GBDTOptions())}
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {_written(model)}" for name, model in table.items()) + "\n}\n"


def _written(model: dict[str, Any]) -> str:
    """A model as JSON, an option a line."""
    options = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(option)}" for key, option in model["options"].items())
    head = json.dumps({key: value for key, value in model.items() if key != "options"})
    return f'{head[:-1]}, "options": {{\n  {options}\n}}}}'


def _network(name: str) -> dict[str, Any]:
    options = options_of_class(name, model_class(name))
    fields = [option for option, each in options.items() if each["form"].get("type") == "field"]
    needed = dict(zip(fields, _LAYOUT.names, strict=False))
    numbers = _numbers(name, options, needed)
    return {"family": "network", "has": _traits(name, options, needed), "numbers": numbers, "options": options}


def _numbers(name: str, options: dict[str, Any], needed: dict[str, Any]) -> str:
    """Which of `NUMBERS` gives the numbers that the widest table of ids of a network has for each id."""
    found = widest_table(create_model(name, _LAYOUT, _SIZE, **needed))
    defaults = {option: each["default"] for option, each in options.items()}
    return next(words for words, count in NUMBERS.items() if count(defaults, _LAYOUT.fields) == found)


def _traits(name: str, options: dict[str, Any], needed: dict[str, Any]) -> list[str]:
    bare: dict[str, Any] = needed | ({"hidden": ()} if "hidden" in options else {})
    net = create_model(name, _LAYOUT, _SIZE, **bare)
    parameters = net.collect_params()
    dense = [key for key in parameters if key.endswith("weight") and not is_row_parameter(key)]
    size = (_SIZE, options["embedding_size"]["default"]) if "embedding_size" in options else None
    has = {
        "dense": bool(dense),
        "attention": any("attention" in key for key in dense),
        "shared_embedding": any(p is not None and p.shape == size for p in [_embedding_of(net)]),
        "wide_without_hidden": any(_is_wide(node) for node in _graph(net)),
        "normalized_without_hidden": "hidden" in options and _normalized(name, bare),
    }
    return [trait for trait in TRAITS if has[trait]]


def _embedding_of(net: HybridBlock) -> Any:
    return getattr(getattr(net, "embedding", None), "embedding_weight", None)


def _normalized(name: str, bare: dict[str, Any]) -> bool:
    """Whether a network without hidden layers differs with another normalization."""
    try:
        graphs = [_graph(create_model(name, _LAYOUT, _SIZE, **bare, normalization=each)) for each in ("layer", "none")]
    except ConfigError:  # refused by the model itself
        return False
    return len(graphs[0]) != len(graphs[1])


def _graph(net: HybridBlock) -> Any:
    return json.loads(net(mx.sym.var("ids")).tojson())["nodes"]


def _is_wide(node: Any) -> bool:
    """Whether the precision of its products is that of training."""
    if node["op"] in {"pnn_pair_network", "pnn_kernel_products", "pnn_feature_maps", "pnn_field_attention"}:
        return True
    units = {"pnn_dense": "units", "pnn_normalized_dense": "units", "FullyConnected": "num_hidden"}.get(node["op"])
    return units is not None and int(node["attrs"][units]) > EXACT_UNITS


if __name__ == "__main__":
    TABLE.write_text(declarations())
