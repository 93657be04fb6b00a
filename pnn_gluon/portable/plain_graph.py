"""The plain graph of an exported network, read: its nodes, the shapes and types of its tensors, and its constants."""

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from pnn_gluon.errors import InputError
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import PARAMETERS_FILE, SYMBOL_FILE
from pnn_gluon.training.parameters import read_values

Place: TypeAlias = tuple[int, int]
"""A tensor: the number of its node, and which output of it."""

DATA = "data"
"""The name of the input, ids int32 (B, S)."""

_ROWS = (1009, 2003)
"""Two numbers of rows: a dimension that differs between them is one of rows."""


class Kind(NamedTuple):
    """Shape and type of a tensor; a dimension that depends on the number of rows is None."""

    dims: tuple[int | None, ...]
    dtype: Any

    @property
    def fixed(self) -> bool:
        """Whether the shape is the same for any number of rows."""
        return None not in self.dims


@dataclass(frozen=True)
class Node:
    """One operator of MXNet with its attributes, and where its inputs come from; `null` is a parameter or the data."""

    op: str
    name: str
    attributes: Mapping[str, Any]
    inputs: tuple[Place, ...]

    @property
    def is_data(self) -> bool:
        """Whether it is the input of the graph."""
        return self.op == "null" and self.name == DATA


class PlainGraph:
    """The graph that `pnn_gluon.training.export.export_model` wrote into a folder, for rows of so many slots.

    Attributes:
        nodes: In an order in which inputs come first.
        outputs: The tensors that each node makes, by its number.
        kinds: Of every tensor.
        head: The logits (B,).

    Raises:
        InputError: a file is missing, damaged, or of another input.
    """

    def __init__(self, folder: Path, slots: int) -> None:
        self._slots = slots
        stored = read_values(folder / PARAMETERS_FILE)
        self._values = {name.partition(":")[2]: value for name, value in stored.items()}
        try:
            self._symbol = mx.sym.load(str(folder / SYMBOL_FILE))
            graph = json.loads(self._symbol.tojson())
            self._tensors = self._symbol.get_internals()
            self.nodes = tuple(_node(each) for each in graph["nodes"])
            self._numbers = _numbers(self.nodes, [each.name for each in self._tensors])
            self.outputs = _by_node(self._numbers)
            self.kinds = self._kinds()
        except (mx.MXNetError, OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"{folder}: cannot be read as an exported model ({reason}); export it again") from error
        node, output, _ = graph["heads"][0]
        self.head: Place = (node, output)

    def _kinds(self) -> dict[Place, Kind]:
        shapes = {name: self._values[name].shape for name in self._symbol.list_arguments() if name != DATA}
        few, many = (self._tensors.infer_shape(**shapes, **{DATA: (rows, self._slots)})[1] for rows in _ROWS)
        types = self._tensors.infer_type(**{DATA: "int32"})[1]
        return {
            place: Kind(tuple(a if a == b else None for a, b in zip(few[k], many[k], strict=True)), types[k])
            for place, k in self._numbers.items()
        }

    def constants(self) -> set[Place]:
        """The tensors that are the same for all rows."""
        found: set[Place] = set()
        for number, node in enumerate(self.nodes):
            for place in self.outputs[number]:
                if not node.is_data and (found.issuperset(node.inputs) or self._needs_no_numbers(node, place)):
                    found.add(place)
        return found

    def _needs_no_numbers(self, node: Node, place: Place) -> bool:
        """Whether a tensor depends on the shape of its inputs at most."""
        if node.op == "BatchNorm":
            return place[1] > 0  # the statistics that are used, which are those of training
        if not self.kinds[place].fixed:
            return False
        return node.op in {"ones_like", "zeros_like", "_contrib_arange_like"} or self._is_nothing(node)

    def _is_nothing(self, node: Node) -> bool:
        """Whether it is x - BlockGrad(x), which has a gradient and no value."""
        if node.op != "elemwise_sub":
            return False
        first, second = node.inputs
        return self.nodes[second[0]].op == "BlockGrad" and self.nodes[second[0]].inputs == (first,)

    def evaluate(self, places: Iterable[Place]) -> dict[Place, NDArray[Any]]:
        """The values of constants."""
        wanted = sorted(places)
        values = {place: self._values[self.nodes[place[0]].name] for place in wanted if self._is_parameter(place)}
        computed = [place for place in wanted if place not in values]
        if computed:
            group = mx.sym.Group([self._tensors[self._numbers[place]] for place in computed])
            given = {**self._values, DATA: mx.nd.zeros((1, self._slots), dtype="int32")}
            found = mx.nd.CachedOp(group)(*(given[name] for name in group.list_inputs()))
            values |= zip(computed, found if isinstance(found, list) else [found], strict=True)
        return {place: value.asnumpy().astype(self.kinds[place].dtype, copy=False) for place, value in values.items()}

    def _is_parameter(self, place: Place) -> bool:
        return self.nodes[place[0]].op == "null"


def _node(written: Mapping[str, Any]) -> Node:
    attributes = {name: _value(text) for name, text in written.get("attrs", {}).items()}
    inputs = tuple((node, output) for node, output, _ in written["inputs"])
    return Node(written["op"], written["name"], attributes, inputs)


def _value(text: str) -> Any:
    """An attribute as MXNet writes it: a Python literal, or a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _numbers(nodes: tuple[Node, ...], names: list[str]) -> dict[Place, int]:
    """The number of each tensor in MXNet's list of them, which names the node of each."""
    numbers: dict[Place, int] = {}
    for number, node in enumerate(nodes):
        output = 0
        while len(numbers) < len(names) and names[len(numbers)] == node.name:
            numbers[number, output] = len(numbers)
            output += 1
    if len(numbers) < len(names):
        raise ValueError(f"the tensors of {names[len(numbers)]} are of no node")
    return numbers


def _by_node(places: Iterable[Place]) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for place in places:
        found.setdefault(place[0], []).append(place)
    return found
