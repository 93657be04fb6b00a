"""Calculations with doubles as an ONNX graph, written as they are with numpy."""

from typing import Self, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.portable.onnx_graph import OnnxGraph

Operand: TypeAlias = Union["Doubles", float]


class Doubles:
    """A tensor (B,) of a graph that can be calculated with.

    Args:
        graph: What it is of.
        name: Its name there.
    """

    def __init__(self, graph: OnnxGraph, name: str) -> None:
        self.graph, self.name = graph, name

    def of(self, op: str, *operands: Operand) -> Self:
        """An operator of this tensor and others."""
        return type(self)(self.graph, self.graph.add(op, self.name, *map(self._named, operands)))

    def _named(self, operand: Operand) -> str:
        return operand.name if isinstance(operand, Doubles) else self.graph.scalar(operand, np.float64)

    def __add__(self, other: Operand) -> Self:
        return self.of("Add", other)

    def __sub__(self, other: Operand) -> Self:
        return self.of("Sub", other)

    def __mul__(self, other: Operand) -> Self:
        return self.of("Mul", other)

    def __truediv__(self, other: Operand) -> Self:
        return self.of("Div", other)

    def __neg__(self) -> Self:
        return self.of("Neg")

    def clip(self, low: float, high: float) -> Self:
        """Limited to [low, high]."""
        return self.of("Clip", low, high)

    def chosen(self, condition: str, otherwise: Operand) -> Self:
        """These numbers where a condition holds, else others."""
        return type(self)(self.graph, self.graph.add("Where", condition, self.name, self._named(otherwise)))

    def sigmoid(self) -> Self:
        """1 / (1 + exp(-x))."""
        return ((-self).of("Exp") + 1.0).of("Reciprocal")

    def log_odds(self) -> Self:
        """log p - log(1 - p)."""
        return self.of("Log") - (-self + 1.0).of("Log")

    def along(self, knots: tuple[float, ...], levels: tuple[float, ...]) -> Self:
        """The line through (knot, level), constant beyond its ends; step by step as calibrators do it."""
        knot, level, here = np.array(knots), np.array(levels), np.arange(len(knots))
        right = np.minimum(here + 1, len(knots) - 1)
        width = np.where(right > here, knot[right] - knot, 1.0)
        x = self.clip(knots[0], knots[-1])
        left = count_up_to(self.graph, knot, x.name, less=1)
        risen = (x - self.at(knot, left)) / self.at(width, left) * self.at(level[right] - level, left)
        return (self.at(level, left) + risen).of("Min", self.at(level[right], left))

    def at(self, table: ArrayLike, place: str) -> Self:
        """The numbers of a table at places int64 (B,); -1 is the last."""
        numbers = self.graph.constant(np.asarray(table, np.float64))
        return type(self)(self.graph, self.graph.add("Gather", numbers, place))


def count_up_to(graph: OnnxGraph, rising: NDArray[np.generic], x: str, less: int = 0) -> str:
    """How many numbers of a rising list are at most each x (B,), less so many: int64 (B,).

    A binary search: the count is found bit by bit, from the highest.
    """
    bits = len(rising).bit_length()
    beyond = np.nan if rising.dtype == np.float64 else np.iinfo(np.int32).max
    padded = graph.constant(np.append(rising, np.full(2**bits - len(rising), beyond, rising.dtype)))
    count = graph.add("Expand", graph.scalar(0, np.int64), graph.add("Shape", x))
    for bit in reversed(range(bits)):
        last = graph.add("Add", count, graph.scalar(2**bit - 1, np.int64))
        reached = graph.add("LessOrEqual", graph.add("Gather", padded, last), x)
        step = graph.add("Mul", graph.cast(reached, np.int64), graph.scalar(2**bit, np.int64))
        count = graph.add("Add", count, step)
    return graph.add("Sub", count, graph.scalar(less, np.int64))
