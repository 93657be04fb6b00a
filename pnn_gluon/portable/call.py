"""One operator of MXNet as a converter sees it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pnn_gluon.errors import ConfigError
from pnn_gluon.portable.onnx_graph import OnnxGraph
from pnn_gluon.portable.plain_graph import Kind, Node


class Call(NamedTuple):
    """An operator, to be added to a graph.

    Attributes:
        graph: Where to.
        node: The operator.
        inputs: The names of its inputs in the graph.
        kinds: Their shapes and types.
        made: Those of its outputs.
    """

    graph: OnnxGraph
    node: Node
    inputs: tuple[str, ...]
    kinds: tuple[Kind, ...]
    made: tuple[Kind, ...]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The operator's attributes; defaults are left out."""
        return self.node.attributes

    def static(self, dims: Sequence[int | None]) -> tuple[int, ...]:
        """A shape, with -1 for the dimension that depends on the number of rows.

        Raises:
            ConfigError: two do.
        """
        if list(dims).count(None) > 1:
            raise self.refused(f"two dimensions of {tuple(dims)} depend on the number of rows")
        return tuple(-1 if size is None else size for size in dims)

    def given(self, name: str) -> Any:
        """An attribute that has to be given: its default has no ONNX form here."""
        if self.attributes.get(name) is None:
            raise self.refused(f"no {name} is given")
        return self.attributes[name]

    def expect(self, **attributes: Any) -> None:
        """Raise ConfigError unless these attributes, where they are given at all, have these values."""
        for name, value in attributes.items():
            if self.attributes.get(name, value) != value:
                raise self.refused(f"{name} = {self.attributes[name]!r}, expected {value!r}")

    def refused(self, why: str) -> ConfigError:
        """The error of an operator that there is no ONNX form of."""
        return ConfigError(
            f"operator {self.node.op} ({self.node.name}) has no ONNX form here: {why}; score it with score-table"
        )


Convert: TypeAlias = Callable[[Call], str | list[str]]
"""Adds an operator to the graph; the names of what it makes."""
