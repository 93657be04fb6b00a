"""A server: keeps its part of the parameters and updates them when all workers have sent the gradients of a step."""

import ctypes
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.cluster.gradients import added_up, from_floats, in_floats, unpacked
from pnn_gluon.cluster.job import Job
from pnn_gluon.cluster.kept import piece_name, server_file, state_name, write
from pnn_gluon.cluster.network import CompactNetwork
from pnn_gluon.cluster.plan import CONTROL, FLOATS, Dense, Piece
from pnn_gluon.cluster.start import Start
from pnn_gluon.cluster.watch import Watch
from pnn_gluon.runtime import Tensor, mx
from pnn_gluon.training.optimizer import make_optimizer
from pnn_gluon.training.parameters import Values, check_values_finite
from pnn_gluon.training.states import state_parts

Array = NDArray[np.float32]

_Update = tuple[int, Tensor | None, Tensor]
"""Index, gradient and weight of a parameter, or of a piece of one; a piece may have no gradient in a step."""


def dense_view(stored: Tensor, shape: tuple[int, ...]) -> Array:
    """The memory of an array of the parameter server, row sparse or dense, that holds all its rows: no copy."""
    from mxnet.base import _LIB, check_call

    stored.wait_to_read()
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(stored.handle, ctypes.byref(pointer)))
    numbers = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(numbers, shape=shape)


def with_rows(stored: Tensor, rows: Array) -> Array:
    """Let a row-sparse array of the parameter server hold these rows (V, K), however many it had; its memory.

    MXNet's server makes an array of as many rows as whoever initializes it sends, and reads it by row from then on; the
    number of rows in its shape, which stays, it does not look at.
    """
    mx.nd.sparse.row_sparse_array((rows, np.arange(len(rows))), shape=stored.shape).copyto(stored)
    stored.wait_to_read()
    return dense_view(stored, rows.shape)


class Server:
    """What a server process does when MXNet's loop calls it: with keys that all workers sent, and with commands.

    Which server it is it learns from the first key.

    Args:
        job: What to train.
        compact: Its network and plan.
        start: Where a server of this number starts.
        watch: Ends the process when the workers fall silent.
    """

    def __init__(self, job: Job, compact: CompactNetwork, start: Callable[[int], Start], watch: Watch) -> None:
        self._plan, self._l2, self._watch = compact.plan, compact.l2, watch
        self._start_of, self._clip_norm = start, job.training.clip_norm
        self._start: Start | None = None
        self._optimizer: Any = make_optimizer(job.training)
        self._updater = mx.optimizer.get_updater(self._optimizer)
        self._weights: dict[str, Tensor] = {}
        self._index: dict[str, int] = {}
        self._mail: dict[int, Any] = {}
        self._number = 0
        plan = self._plan
        places: list[Piece | Dense] = [*plan.pieces, *plan.dense, plan.fixed]
        self._places = {place.values: place for place in places}

    def receive(self, key: int, sent: Tensor, stored: Tensor) -> None:
        """Take a key that all workers sent; what they read of it from now on is in `stored`."""
        self._watch.seen()
        sent.wait_to_read()
        if key in self._places:
            self._fill(self._places[key], stored)
        elif key == self._plan.exchange:
            sent.copyto(stored)
            stored.wait_to_read()
        elif key == self._plan.dense[self._number].squares:
            mx.nd.array(in_floats([self._squares()]).reshape(stored.shape)).copyto(stored)
            stored.wait_to_read()
        else:
            self._mail[key] = _received(sent)
            self._update_when_complete()

    def command(self, text: str) -> None:
        """Do what the first worker asks: `save PREFIX`, `keep PREFIX`, `check WHERE` or `alive`."""
        self._watch.seen()
        name, _, rest = text.partition(" ")
        commands: Mapping[str, Callable[[str], None]] = {
            "save": lambda prefix: write(Path(prefix + server_file(self._number)), self._weights | self._states()),
            "keep": lambda prefix: write(Path(prefix + server_file(self._number)), self._weights),
            "check": lambda where: check_values_finite(self._weights, where),
            "alive": lambda _: None,
        }
        commands[name](rest)

    def _fill(self, place: Piece | Dense, stored: Tensor) -> None:
        """Let what is stored hold the starting values, and train it if it is to be trained."""
        self._number = place.server
        start = self._start or self._start_of(place.server)
        if isinstance(place, Piece):
            name = piece_name(place.table, place.number)
            memory = with_rows(stored, start.values[name].reshape((place.rows, place.width)))
            self._take(start, name, memory, place.table)
        else:
            numbers = dense_view(stored, (place.count,))
            for name, part, shape in place.parts():
                self._take(start, name, numbers[part].reshape(shape), name, trained=place is not self._plan.fixed)
        del self._places[place.values]
        mine = any(each.server == self._number for each in self._places.values())
        self._start = start if mine else None  # its memory is needed no more

    def _take(self, start: Start, name: str, memory: Array, parameter: str, *, trained: bool = True) -> None:
        memory[...] = start.values[name]
        if not trained:
            return
        index = self._index[name] = len(self._index)
        weight = self._weights[name] = mx.nd.from_numpy(memory, zero_copy=True)
        self._optimizer.wd_mult[index] = self._l2[parameter]
        self._optimizer._index_update_count[index] = self._optimizer.num_update = start.steps
        saved = [start.values[each] for each in sorted(start.values) if each.startswith(state_name(name, ""))]
        if saved:
            state = self._optimizer.create_state_multi_precision(index, weight)
            for part, array in zip(state_parts(state), saved, strict=True):
                part[:] = array
            self._updater.states[index], self._updater.states_synced[index] = state, True

    def _states(self) -> Values:
        """The optimizer's states by name."""
        states = self._updater.states
        return {
            state_name(name, part): array
            for name, index in self._index.items()
            if index in states
            for part, array in enumerate(state_parts(states[index]))
        }

    def _update_when_complete(self) -> None:
        """Take a step once everything of it is here."""
        dense = self._plan.dense[self._number]
        if len(self._mail) < len(self._pieces()) + 2:
            return
        told = from_floats(self._mail[dense.control].reshape(-1, CONTROL, FLOATS))
        self._optimizer.set_learning_rate(float(told[0, 0]))
        self._optimizer.rescale_grad = 1.0 / self._divisor(float(told[:, 1].sum()), float(told[0, 2]))
        for index, gradient, weight in self._updates():
            if gradient is None:
                self._optimizer._update_count(index)
            else:
                self._updater(index, gradient, weight)
                weight.wait_to_read()
        self._mail = {}

    def _divisor(self, examples: float, norm: float) -> float:
        """What the gradient, a sum over examples, is divided by; more where its mean has too large a norm."""
        return examples if self._clip_norm is None else examples * max(1.0, norm / examples / self._clip_norm)

    def _squares(self) -> float:
        """Sum of squares of the gradients of this server."""
        gradients = (gradient for _, gradient, _ in self._updates() if gradient is not None)
        held = (gradient if gradient.stype == "default" else gradient.data for gradient in gradients)
        return sum(float(np.square(each.asnumpy(), dtype=np.float64).sum()) for each in held)

    def _pieces(self) -> list[Piece]:
        return [piece for piece in self._plan.pieces if piece.server == self._number]

    def _updates(self) -> Iterator[_Update]:
        """The gradients of a step, of all workers."""
        yield from self._of_pieces(self._pieces())
        yield from self._of_dense(self._plan.dense[self._number])

    def _of_pieces(self, pieces: list[Piece]) -> Iterator[_Update]:
        for piece in pieces:
            places, sent = self._mail[piece.mail]
            held, gradients = unpacked(sent)
            real = held < piece.rows
            rows, total = added_up(held[real], gradients[real], places[real] // piece.most)
            name = piece_name(piece.table, piece.number)
            shape = (piece.rows, piece.width)
            sparse = mx.nd.sparse.row_sparse_array((total, rows), shape=shape) if len(rows) else None
            yield self._index[name], sparse, self._weights[name]

    def _of_dense(self, dense: Dense) -> Iterator[_Update]:
        _, sent = self._mail[dense.mail]
        total = sent[0]
        for row in sent[1:]:
            total = total + row
        for name, part, shape in dense.parts():
            yield self._index[name], mx.nd.array(total[part].reshape(shape)), self._weights[name]


def _received(sent: Tensor) -> Any:
    """A copy of what came: of row-sparse arrays the rows' numbers and the rows."""
    if sent.stype == "default":
        return sent.asnumpy()
    return sent.indices.asnumpy(), sent.data.asnumpy()
