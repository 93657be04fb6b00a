"""Which server keeps which part of which parameter, and the keys of the parameter server they have there.

A table of V rows is cut into P pieces: row i lies in piece i mod P as its row i div P, and piece p on server p mod n.
So no tensor is larger than MXNet can hold, however many ids there are, and ids that are often seen (the first ones of
a map) are spread over the servers. Other parameters lie whole, each on the server with the least so far.

Gradients of a piece come through a mailbox, a key of its own: worker r writes its rows of the batch there from row
r U on, U being the most rows it can have. Nothing is added up on the way, so the server adds in the order of the
workers, whoever was first. A gradient's id travels beside it as two float32 numbers, exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

LARGEST = 2**31 - 1
"""Numbers that a tensor of MXNet 1.9 holds."""

ID_COLUMNS = 2
"""Numbers beside a gradient that say its row of the piece: high * 2^16 + low."""

FLOATS = 3
"""Float32 numbers that stand for one of float64."""

CONTROL = 3
"""Numbers a worker sends with each step: learning rate, examples of its part of the batch, norm of the gradient."""

EXCHANGED = 8
"""Most numbers that workers tell each other at once."""

_HASH = 9973
"""ps-lite puts a key smaller than MXNET_KVSTORE_BIGARRAY_BOUND on server key * 9973 mod the number of servers."""


@dataclass(frozen=True)
class Piece:
    """A part of a table: rows of `table` with an id that leaves `number` when divided by the number of pieces.

    Attributes:
        table: Name of the parameter.
        number: Of the piece.
        rows: Its rows.
        width: Numbers a row.
        server: Where it lies.
        values: Key of the rows.
        mail: Key of their gradients.
        most: Most rows of it that a worker sends at once.
    """

    table: str
    number: int
    rows: int
    width: int
    server: int
    values: int
    mail: int
    most: int


@dataclass(frozen=True)
class Dense:
    """The dense parameters of one server, laid end to end.

    Attributes:
        shapes: By name, in order.
        server: Where they lie.
        values: Key of the numbers.
        mail: Key of the gradients: a row for each worker.
        control: Key of what a step needs besides.
        squares: Key of the sum of squares of this server's gradients, which is asked for where they are clipped.
    """

    shapes: Mapping[str, tuple[int, ...]]
    server: int
    values: int
    mail: int
    control: int
    squares: int

    @property
    def count(self) -> int:
        """All numbers, at least one: an empty key cannot be."""
        return max(1, sum(map(prod, self.shapes.values())))

    def parts(self) -> Iterator[tuple[str, slice, tuple[int, ...]]]:
        """Name, place and shape of each parameter."""
        start = 0
        for name, shape in self.shapes.items():
            yield name, slice(start, start + prod(shape)), shape
            start += prod(shape)


@dataclass(frozen=True)
class Plan:
    """Where everything is.

    Attributes:
        workers: Number of workers.
        servers: Number of servers.
        cut: P, pieces of a table.
        pieces: All of them.
        dense: One for each server.
        fixed: What is not trained (constants, running statistics), on server 0; its other keys are not used.
        exchange: Key through which workers tell each other numbers.
    """

    workers: int
    servers: int
    cut: int
    pieces: tuple[Piece, ...]
    dense: tuple[Dense, ...]
    fixed: Dense
    exchange: int

    def of_table(self, name: str) -> list[Piece]:
        """The pieces of a table, in order."""
        return [piece for piece in self.pieces if piece.table == name]

    @property
    def tables(self) -> list[str]:
        """Names of the tables of ids."""
        return list(dict.fromkeys(piece.table for piece in self.pieces))


def make_plan(
    tables: Mapping[str, int],
    dense: Mapping[str, tuple[int, ...]],
    fixed: Mapping[str, tuple[int, ...]],
    *,
    size: int,
    most: int,
    workers: int,
    servers: int,
    largest: int = LARGEST,
) -> Plan:
    """A plan for a network.

    Args:
        tables: Numbers a row of each table of ids.
        dense: Shapes of other trained parameters.
        fixed: Shapes of parameters that are not trained.
        size: Rows V of the tables.
        most: Distinct ids a worker can have in a batch, at most.
        workers: Number of workers.
        servers: Number of servers.
        largest: Most numbers of a tensor.
    """
    keys = _Keys(servers)
    widest = max(tables.values(), default=1)
    rows = max(1, largest // widest)
    cut = min(size, servers * -(-size // (servers * rows)))
    pieces = [
        _piece(keys, name, number, width, size=size, cut=cut, most=most)
        for name, width in sorted(tables.items())
        for number in range(cut)
    ]
    whole = [_dense(keys, shapes, server) for server, shapes in enumerate(_shared_out(dense, servers))]
    return Plan(workers, servers, cut, tuple(pieces), tuple(whole), _dense(keys, dict(fixed), 0), keys.on(0))


class _Keys:
    """Numbers of keys, none twice."""

    def __init__(self, servers: int) -> None:
        self._servers, self._next = servers, 0

    def on(self, server: int) -> int:
        """The next key that ps-lite puts on a server."""
        while self._next * _HASH % self._servers != server:
            self._next += 1
        self._next += 1
        return self._next - 1


def _piece(keys: _Keys, table: str, number: int, width: int, *, size: int, cut: int, most: int) -> Piece:
    server, rows = number % keys._servers, len(range(number, size, cut))
    return Piece(table, number, rows, width, server, keys.on(server), keys.on(server), min(rows, most) + 1)


def _dense(keys: _Keys, shapes: Mapping[str, tuple[int, ...]], server: int) -> Dense:
    return Dense(shapes, server, *(keys.on(server) for _ in range(4)))


def _shared_out(shapes: Mapping[str, tuple[int, ...]], servers: int) -> Sequence[dict[str, tuple[int, ...]]]:
    """Parameters for each server, the largest first, each to who has the least; by name within a server."""
    taken: list[dict[str, tuple[int, ...]]] = [{} for _ in range(servers)]
    for name, shape in sorted(shapes.items(), key=lambda each: (-prod(each[1]), each[0])):
        least = min(taken, key=lambda each: sum(map(prod, each.values())))
        least[name] = shape
    return [dict(sorted(each.items())) for each in taken]
