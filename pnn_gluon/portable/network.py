"""The plain graph of a network in ONNX's operators."""

from collections.abc import Mapping

from pnn_gluon.portable.arrangement import ARRANGEMENT
from pnn_gluon.portable.call import Call, Convert
from pnn_gluon.portable.elementwise import ELEMENTWISE
from pnn_gluon.portable.layers import LAYERS
from pnn_gluon.portable.onnx_graph import OnnxGraph
from pnn_gluon.portable.plain_graph import Place, PlainGraph

OPERATORS: Mapping[str, Convert] = {**ELEMENTWISE, **ARRANGEMENT, **LAYERS}
"""How each operator of MXNet that our networks are made of is said in ONNX."""


def add_network(graph: OnnxGraph, network: PlainGraph, ids: str) -> str:
    """Add a network to a graph: the name of its logits (B,).

    What is the same for all rows is calculated here and is a constant of the graph.

    Args:
        graph: Where to.
        network: What was exported.
        ids: The name of the ids int32 (B, S).

    Raises:
        ConfigError: the network has an operator that there is no ONNX form of; it names operator and node.
    """
    constants = network.constants()
    names = _add_constants(graph, network, constants)
    for number, node in enumerate(network.nodes):
        places = network.outputs[number]
        if node.is_data:
            names[number, 0] = ids
        elif not constants.issuperset(places):
            made = _added(graph, network, number, names)
            names |= {place: name for place, name in zip(places, made, strict=False) if place not in constants}
    return names[network.head]


def _add_constants(graph: OnnxGraph, network: PlainGraph, constants: set[Place]) -> dict[Place, str]:
    """Add those that something calculates with which is no constant itself; their names."""
    used = {
        place
        for number, node in enumerate(network.nodes)
        if not constants.issuperset(network.outputs[number])
        for place in node.inputs
    }
    values = network.evaluate(constants & used)
    return {
        place: graph.constant(value, f"{network.nodes[place[0]].name}:{place[1]}") for place, value in values.items()
    }


def _added(graph: OnnxGraph, network: PlainGraph, number: int, names: Mapping[Place, str]) -> list[str]:
    node = network.nodes[number]
    inputs = tuple(names[place] for place in node.inputs)
    kinds = tuple(network.kinds[place] for place in node.inputs)
    made = tuple(network.kinds[place] for place in network.outputs[number])
    call = Call(graph, node, inputs, kinds, made)
    if node.op not in OPERATORS:
        raise call.refused("pnn_gluon.portable.network knows no such operator")
    found = OPERATORS[node.op](call)
    return [found] if isinstance(found, str) else found
