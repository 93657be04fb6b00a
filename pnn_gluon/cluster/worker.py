"""A worker: computes the gradients of its part of every batch, with the rows of the tables that it needs."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch, Ids
from pnn_gluon.atomic import write_atomically
from pnn_gluon.cluster.gradients import added_up, from_floats, in_floats, packed
from pnn_gluon.cluster.job import RESULT_FILE, Job
from pnn_gluon.cluster.kept import FIXED_FILE, write
from pnn_gluon.cluster.network import CompactNetwork
from pnn_gluon.cluster.plan import CONTROL, EXCHANGED, FLOATS, ID_COLUMNS, Dense, Piece
from pnn_gluon.cluster.watch import Watch
from pnn_gluon.runtime import Tensor, mx
from pnn_gluon.training.checkpoint import STATE, Checkpoints, RunState, read_state
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.loop import Progress, TrainingResult
from pnn_gluon.training.parameters import named_parameters, set_value
from pnn_gluon.training.step import TrainingStep, examples_of


class Worker:
    """A worker's place in the training loop; see `pnn_gluon.training.loop.Place`.

    Args:
        job: What to train.
        compact: Its network and plan.
        store: MXNet's parameter server, of kind dist_sync.
        watch: Ends the process when the others fall silent.
        folder: Of the job.
    """

    def __init__(self, job: Job, compact: CompactNetwork, store: Any, watch: Watch, folder: Path) -> None:
        self._job, self._net, self._plan = job, compact.net, compact.plan
        self._store, self._watch, self._folder = store, watch, folder
        self._rank = int(store.rank)
        self._checkpoints = Checkpoints(job.checkpoints(folder), {})
        self._places = contexts(job.training.device, job.training.devices)
        initialize(self._net, self._places, job.training.seed)
        self._net.hybridize(static_alloc=True)
        self._parameters = named_parameters(self._net)
        self._step = TrainingStep(self._net, _NoUpdate(), self._places, None, job.training.loss)
        self._found: Ids = np.empty(0, np.int32)
        self._connect()

    @property
    def is_first(self) -> bool:
        """Whether this worker does what one has to do for all."""
        return self._rank == 0

    def load(self, fingerprint: str) -> RunState | None:
        """See `Place`; the servers have started there already."""
        checkpoint = self._job.checkpoint(self._folder)
        if checkpoint is None:
            return None
        state, _ = read_state(checkpoint / STATE)
        if not self.is_first:
            state.loss_sum = 0.0  # which the first has
        return state

    def seed(self, number: int) -> None:
        """See `Place`; every worker draws its own numbers."""
        mx.random.seed((number + 1_000_003 * self._rank) % 2**31)

    def step(self, batch: Batch, rate: float, number: int) -> list[Tensor]:
        """See `Place`; the batch is this worker's part of it."""
        ids, *others = batch if len(batch[0]) else self._no_rows()
        self._pull(ids)
        losses = self._step(self._numbered(ids), *others)
        self._push(rate, batch)
        self._watch.seen()
        return losses

    def _no_rows(self) -> Batch:
        """A row that counts for nothing, which MXNet can compute: it does not compute none."""
        return np.zeros((1, self._job.model.layout.slots), np.int32), np.zeros(1, np.float32), np.zeros(1, np.float32)

    def gathered(self, loss: float, examples: int) -> tuple[float, int]:
        """See `Place`."""
        told = self._exchange([loss, examples]).sum(axis=0)
        return float(told[0]) if self.is_first else 0.0, int(told[1])

    def end_epoch(self) -> None:
        """See `Place`."""

    def judge(self, where: str) -> float | None:
        """See `Place`."""
        self._command(f"check {where}")
        return None if self._job.validation is None else self._log_loss()

    def keep_best(self, epoch: int) -> None:
        """See `Place`."""
        self._keep(self._checkpoints.best_prefix(epoch))

    def save(self, state: RunState, where: str) -> None:
        """See `Place`."""
        self._command(f"check {where}")

        def fill(partial: Path) -> None:
            self._send(f"save {partial}/")
            write(partial / FIXED_FILE, self._fixed())

        if self.is_first:
            self._checkpoints.commit(state, fill)
        self._store._barrier()

    def finish(self, best_epoch: int | None) -> None:
        """See `Place`: the values are left in files."""
        if best_epoch is None:
            self._keep(str(self._folder / "last."))

    def write_result(self, result: TrainingResult) -> None:
        """Leave what the run gave for whoever started it."""
        if self.is_first:
            write_atomically(self._folder / RESULT_FILE, json.dumps(asdict(result)).encode())

    def progress(self, progress: Progress) -> None:
        """Tell how far training is, once for all workers."""
        if self.is_first:
            text = f"epoch {progress.epoch + 1}, {progress.examples:,} examples, log loss {progress.loss:.5f}"
            print(f"train-cluster: {text}", file=sys.stderr, flush=True)

    def _connect(self) -> None:
        """Give the servers room for everything, let them fill it, and take what is not trained."""
        for piece in self._plan.pieces:
            self._room_for_rows(piece.values, piece.rows, piece.width)
            self._room_for_rows(piece.mail, self._plan.workers * piece.most, piece.width + ID_COLUMNS)
        self._store.init(self._plan.fixed.values, mx.nd.zeros(self._plan.fixed.count))
        for dense in self._plan.dense:
            self._store.init(dense.values, mx.nd.zeros(dense.count))
            self._room_for_rows(dense.mail, self._plan.workers, dense.count)
            self._store.init(dense.control, mx.nd.zeros((self._plan.workers, CONTROL, FLOATS)))
            self._store.init(dense.squares, mx.nd.zeros((1, FLOATS)))
        self._store.init(self._plan.exchange, mx.nd.zeros((self._plan.workers, EXCHANGED, FLOATS)))
        self._store._barrier()
        self._command("alive")  # from now on the servers listen
        for piece in self._plan.pieces:
            self._store.push(piece.values, _some_rows(np.zeros((1, piece.width)), [0], piece.rows))
        for dense in (*self._plan.dense, self._plan.fixed):
            self._store.push(dense.values, mx.nd.zeros(dense.count))
        mx.nd.waitall()
        self._watch.seen()
        self._take(self._plan.fixed)

    def _room_for_rows(self, key: int, rows: int, width: int) -> None:
        """Let a key be a row-sparse array of so many rows. One row is sent: the server makes room for the others."""
        held = int(self.is_first)
        self._store.init(key, _some_rows(np.zeros((held, width), np.float32), np.arange(held), rows))

    def _numbered(self, ids: Ids) -> Ids:
        """Ids (B, S) as rows of the small tables; 0 is 0."""
        return np.where(ids > 0, 1 + np.searchsorted(self._found, ids), 0).astype(np.int32)

    def _pull(self, ids: Ids) -> None:
        """Give the network all dense parameters, and the rows of these ids of its tables."""
        found = np.unique(ids)
        self._found = found[found > 0]
        rows = {piece: self._pulled(piece) for piece in self._plan.pieces}
        for dense in self._plan.dense:
            self._take(dense)
        for table in self._plan.tables:
            self._fill(table, rows)

    def _of_piece(self, piece: Piece) -> NDArray[np.int64]:
        """Places among the ids found of those that lie in a piece."""
        return np.flatnonzero(self._found % self._plan.cut == piece.number)

    def _pulled(self, piece: Piece) -> Tensor | None:
        ids = self._found[self._of_piece(piece)]
        if not len(ids):
            return None
        out = mx.nd.sparse.zeros("row_sparse", (piece.rows, piece.width))
        wanted = mx.nd.array(ids.astype(np.int64) // self._plan.cut, dtype="int64")
        self._store.row_sparse_pull(piece.values, out=out, row_ids=wanted)
        return out

    def _fill(self, table: str, pulled: dict[Piece, Tensor | None]) -> None:
        parameter = self._parameters[table]
        values = np.empty((len(self._found), *parameter.shape[1:]), np.float32)
        for piece in self._plan.of_table(table):
            rows = pulled[piece]
            if rows is not None:
                values[self._of_piece(piece)] = rows.data.asnumpy().reshape((-1, *parameter.shape[1:]))
        if len(values):
            for array in parameter.list_data():
                array[1 : 1 + len(values)] = values

    def _take(self, dense: Dense) -> None:
        """Give the network what one server has of its dense parameters."""
        numbers = mx.nd.zeros(dense.count)
        self._store.pull(dense.values, out=numbers)
        for name, part, shape in dense.parts():
            set_value(self._parameters[name], numbers[part.start : part.stop].reshape(shape))

    def _push(self, rate: float, batch: Batch) -> None:
        """Send the gradients, and wait until every server has updated its parameters."""
        examples = examples_of(*batch)
        for table in self._plan.tables:
            self._send_rows(table, *(self._gradients_of_rows(table) if len(batch[0]) else self._none_of(table)))
        for dense in self._plan.dense:
            whole = np.zeros((1, dense.count), np.float32)
            for name, part, _ in dense.parts():
                whole[0, part] = self._gradient(name)
            self._store.push(dense.mail, _some_rows(whole, [self._rank], self._plan.workers))
        norm = 0.0 if self._job.training.clip_norm is None else self._norm()
        for dense in self._plan.dense:
            self._store.push(dense.control, self._own_row([rate, examples, norm], CONTROL))
        mx.nd.waitall()

    def _norm(self) -> float:
        """2-norm of the gradient that the servers have now, of all workers: the same number in each of them."""
        mx.nd.waitall()  # a server has everything when it is asked
        squares = [mx.nd.zeros((1, FLOATS)) for _ in self._plan.dense]
        for dense, told in zip(self._plan.dense, squares, strict=True):
            self._store.push(dense.squares, mx.nd.zeros((1, FLOATS)))
            self._store.pull(dense.squares, out=told)
        return math.sqrt(sum(float(from_floats(told.asnumpy())[0]) for told in squares))

    def _gradient(self, name: str) -> NDArray[np.float32]:
        """The gradient of a dense parameter, of all devices, flat."""
        first, *others = (gradient.asnumpy() for gradient in self._parameters[name].list_grad())
        for gradient in others:
            first = first + gradient
        flat: NDArray[np.float32] = first.reshape(-1)
        return flat

    def _gradients_of_rows(self, table: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ids (n,) of the gradients of a table, and these (n, width), of all devices."""
        gradients = self._parameters[table].list_grad()
        held = [gradient.indices.asnumpy() for gradient in gradients]
        values = [
            gradient.data.asnumpy().reshape((len(rows), -1)) for rows, gradient in zip(held, gradients, strict=True)
        ]
        devices = np.repeat(np.arange(len(held)), [len(rows) for rows in held])
        rows, total = added_up(np.concatenate(held), np.concatenate(values), devices)
        return np.concatenate(([0], self._found))[rows].astype(np.int64), total

    def _none_of(self, table: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """No gradients: a row that counts for nothing must not make a server update row 0."""
        width = self._plan.of_table(table)[0].width
        return np.empty(0, np.int64), np.empty((0, width), np.float32)

    def _send_rows(self, table: str, ids: NDArray[np.int64], gradients: NDArray[np.float32]) -> None:
        for piece in self._plan.of_table(table):
            mine = ids % self._plan.cut == piece.number
            mail = packed(ids[mine] // self._plan.cut, gradients[mine])
            if not len(mail):  # a message without rows cannot be: a row that is none
                mail = packed(np.array([piece.rows]), np.zeros((1, piece.width), np.float32))
            places = self._rank * piece.most + np.arange(len(mail))
            self._store.push(piece.mail, _some_rows(mail, places, self._plan.workers * piece.most))

    def _own_row(self, numbers: Sequence[float], width: int) -> Tensor:
        """Numbers in this worker's row of an array that is 0 elsewhere."""
        rows = np.zeros((self._plan.workers, width, FLOATS), np.float32)
        rows[self._rank, : len(numbers)] = in_floats(numbers)
        return mx.nd.array(rows)

    def _exchange(self, numbers: Sequence[float]) -> NDArray[np.float64]:
        """What all workers tell each other, a row each (workers, EXCHANGED)."""
        self._store.push(self._plan.exchange, self._own_row(numbers, EXCHANGED))
        told = mx.nd.zeros((self._plan.workers, EXCHANGED, FLOATS))
        self._store.pull(self._plan.exchange, out=told)
        rows = from_floats(told.asnumpy())
        self._watch.seen()
        return rows

    def _command(self, text: str) -> None:
        """Let the first worker tell the servers something, when all workers are here; go on when it is done."""
        self._store._barrier()
        if self.is_first:
            self._send(text)
        self._store._barrier()
        self._watch.seen()

    def _send(self, text: str) -> None:
        self._store._send_command_to_servers(0, text)
        self._watch.seen()

    def _keep(self, prefix: str) -> None:
        self._command(f"keep {prefix}")
        if self.is_first:
            write(Path(prefix + FIXED_FILE), self._fixed())
        self._store._barrier()

    def _fixed(self) -> dict[str, Tensor]:
        return {name: self._parameters[name].list_data()[0] for name in self._plan.fixed.shapes}

    def _log_loss(self) -> float:
        """Mean log loss at the natural rate of the rows that say when to stop; each worker reads its part of them."""
        from pnn_gluon.evaluation.calibration import correct_sampling
        from pnn_gluon.evaluation.metrics import LogLoss

        assert self._job.validation is not None
        loss = LogLoss()
        for ids, label, weight in self._validation_rows():
            self._pull(ids)
            logits = predict_logits(self._net, self._numbered(ids), self._most_rows)
            loss = loss.update_logits(label, correct_sampling(logits, self._job.validation.rate), weight)
            self._still_here()
        told = self._exchange([loss.loss, loss.weight])
        return LogLoss(float(told[:, 0].sum()), float(told[:, 1].sum())).value()

    @property
    def _most_rows(self) -> int:
        """Rows whose ids the small tables have room for."""
        return -(-self._job.rows.batch_size // self._plan.workers)

    def _validation_rows(self) -> Iterator[tuple[Ids, NDArray[Any], NDArray[Any] | None]]:
        from pnn_gluon.data.shards import open_shard

        assert self._job.validation is not None
        share, number = self._job.validation.share, 0
        for path in self._job.validation.paths:
            with open_shard(path) as shard:
                for start in range(0, shard.rows(share), self._most_rows):
                    number += 1
                    if number % self._plan.workers == self._rank:
                        ids, label = shard.read(share, start, start + self._most_rows)
                        yield ids, label, shard.weights(share, start, start + self._most_rows)

    def _still_here(self) -> None:
        """Let the servers know that a long validation goes on."""
        if self.is_first and self._watch.quiet() > self._job.shape.stall_seconds / 4:
            self._send("alive")
        elif not self.is_first:
            self._watch.seen()


class _NoUpdate:
    """Stands for the trainer of a step whose update is made elsewhere."""

    def step(self, rows: float) -> None:
        """Leave the parameters as they are."""


def _some_rows(values: NDArray[Any], rows: Any, of: int) -> Tensor:
    """A row-sparse array of `of` rows that holds these."""
    held = mx.nd.array(np.asarray(rows, np.int64), dtype="int64")
    return mx.nd.sparse.row_sparse_array((mx.nd.array(values, dtype="float32"), held), (of, values.shape[1]))
