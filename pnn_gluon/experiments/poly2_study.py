"""How well networks fit a function of second degree while they see more and more rows ([PNN] 5.4, Figure 20)."""

import hashlib
import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch, Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.evaluation.metrics import Auc
from pnn_gluon.experiments.dataset import Examples
from pnn_gluon.experiments.one_hot_dnn import OneHotDNN
from pnn_gluon.experiments.poly2 import Poly2World, crossed_ids, random_sizes
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import HybridBlock
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions

log = logging.getLogger(__name__)

HIDDEN = (128, 128, 128)


@dataclass(frozen=True)
class StudySize:
    """How large the study is; the default is the one of [PNN] 5.4, whose numbers of rows are not told.

    Attributes:
        fields: n.
        categories: The numbers N of the study of sparsity.
        field_size: Categories of each field in the study of convergence.
        sparsity_rows: Training rows of each network of the study of sparsity.
        convergence_rows: Training rows of each network of the study of convergence.
        part_rows: Training rows between two looks at the validation rows.
        valid_rows: Validation rows.
        batch_size: Rows of a step.
    """

    fields: int = 40
    categories: tuple[int, ...] = (200, 400, 600, 800, 1000)
    field_size: int = 10
    sparsity_rows: int = 500_000
    convergence_rows: int = 1_000_000
    part_rows: int = 50_000
    valid_rows: int = 20_000
    batch_size: int = 1000


QUICK = StudySize(
    fields=6,
    categories=(12, 24),
    field_size=3,
    sparsity_rows=2000,
    convergence_rows=2000,
    part_rows=1000,
    valid_rows=500,
    batch_size=100,
)
"""A study of seconds, to see that everything works."""


@dataclass(frozen=True)
class Curve:
    """AUC on the validation rows after so many training rows seen."""

    name: str
    examples: tuple[int, ...]
    auc: tuple[float, ...]


@dataclass(frozen=True)
class Contender:
    """A network to be fitted; with `crossed` it sees the ids of `crossed_ids` and not those of the rows."""

    name: str
    net: HybridBlock
    crossed: bool = False


@dataclass(frozen=True, eq=False)
class RowStream:
    """Rows in their order, each once: epoch e of `train` is their e-th part.

    Attributes:
        examples: The rows.
        part_rows: Rows of a part; the last may be short.
        batch_size: Rows of a batch.
        cross_size: Number of ids of the rows if they are to be crossed, else None.
    """

    examples: Examples
    part_rows: int
    batch_size: int
    cross_size: int | None = None

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-len(self.examples.label) // self.part_rows)

    @property
    def batch_count(self) -> int:
        """Number of batches of a part."""
        return -(-self.part_rows // self.batch_size)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the batches depend on."""
        text = f"{self.examples.fingerprint} {self.part_rows} {self.batch_size} {self.cross_size}"
        return hashlib.sha256(text.encode()).hexdigest()

    def batches(self, epoch: int, start_batch: int) -> Generator[Batch, None, None]:
        """The batches of a part from a number on: ids int32 (B, S), labels float32 (B,)."""
        first, end = epoch * self.part_rows, min((epoch + 1) * self.part_rows, len(self.examples.label))
        for start in range(first + start_batch * self.batch_size, end, self.batch_size):
            rows = slice(start, min(start + self.batch_size, end))
            yield self.encode(self.examples.ids[rows]), self.examples.label[rows]

    def encode(self, ids: Ids) -> Ids:
        """The ids that the network sees."""
        return ids if self.cross_size is None else crossed_ids(ids, self.cross_size)


def learning_curve(
    contender: Contender, world: Poly2World, rows: Examples, valid: Examples, size: StudySize, seed: int
) -> Curve:
    """Train with Adam (0.001, exact: every row of a table moves each step) on the rows, each seen once.

    No row comes twice, so what a network lacks at the end is what training has not found yet, not overfitting.

    Raises:
        ConfigError: fewer training rows than one batch.
    """
    if len(rows.label) < size.batch_size:
        raise ConfigError(f"the study needs {size.batch_size} training rows (a batch) or more, not {len(rows.label)}")
    stream = RowStream(rows, size.part_rows, size.batch_size, world.size if contender.crossed else None)
    valid_ids = stream.encode(valid.ids)

    def validate(net: HybridBlock) -> float:
        return -_auc(valid.label, predict_logits(net, valid_ids))

    options = TrainingOptions(epochs=stream.parts, patience=stream.parts, lazy_update=False, seed=seed)
    history = train(contender.net, stream, options, validate=validate).history
    examples = np.cumsum([record.examples for record in history])
    auc = tuple(-record.validation for record in history if record.validation is not None)
    return Curve(contender.name, tuple(map(int, examples)), auc)


def sparsity_curves(size: StudySize, seed: int) -> Iterator[Curve]:
    """Figure 20 (a): the DNN with three hidden layers of 128, on worlds with more and more categories."""
    for count in size.categories:
        world = Poly2World.draw(random_sizes(count, size.fields, _seeds(seed).sizes), seed=_seeds(seed).world)
        rows, valid = _examples(world, size.sparsity_rows, seed), _examples(world, size.valid_rows, seed, valid=True)
        curve = learning_curve(_dnn(f"N = {count}", world, HIDDEN), world, rows, valid, size, seed)
        yield _reported(curve)


def convergence_curves(size: StudySize, seed: int) -> Iterator[Curve]:
    """Figure 20 (b): DNNs and poly-2 regression on one world, and then lr and product models on the same rows."""
    world, valid = _convergence_world(size, seed)
    rows = _examples(world, size.convergence_rows, seed)
    for contender in _contenders(world):
        yield _reported(learning_curve(contender, world, rows, valid, size, seed))


def true_function_auc(size: StudySize, seed: int) -> float:
    """AUC of the function of second degree itself on the validation rows of `convergence_curves`.

    The noise on the labels keeps it below 1; no model beats it but by chance.
    """
    world, valid = _convergence_world(size, seed)
    return _auc(valid.label, world.scores(valid.ids))


def _convergence_world(size: StudySize, seed: int) -> tuple[Poly2World, Examples]:
    """Fields of equal size, and validation rows."""
    world = Poly2World.draw((size.field_size,) * size.fields, seed=_seeds(seed).world)
    return world, _examples(world, size.valid_rows, seed, valid=True)


class _Seeds(NamedTuple):
    """Different seeds for all that is drawn, so that no two draws follow each other."""

    sizes: int
    world: int
    rows: int
    valid: int


def _seeds(seed: int) -> _Seeds:
    return _Seeds(*range(4 * seed, 4 * seed + 4))


def _examples(world: Poly2World, rows: int, seed: int, *, valid: bool = False) -> Examples:
    return Examples(*world.rows(rows, _seeds(seed).valid if valid else _seeds(seed).rows))


def _contenders(world: Poly2World) -> Iterator[Contender]:
    yield _dnn("DNN 1 x 128", world, (128,))
    yield _dnn("DNN 1 x 512", world, (512,))
    yield _dnn("DNN 3 x 128", world, HIDDEN)
    yield _poly2_regression(world)
    yield Contender("lr", create_model("lr", world.layout, world.size))
    for name in ("fm", "kfm"):
        yield Contender(name, create_model(name, world.layout, world.size, embedding_size=10))
    for name in ("ipnn", "kpnn"):
        options: dict[str, Any] = {"embedding_size": 10, "hidden": HIDDEN, "normalization": "none"}
        yield Contender(name, create_model(name, world.layout, world.size, **options))


def _dnn(name: str, world: Poly2World, hidden: tuple[int, ...]) -> Contender:
    return Contender(name, OneHotDNN(world.layout, world.size, hidden, prefix="dnn_"))


def _poly2_regression(world: Poly2World) -> Contender:
    """Logistic regression on the categories and all their pairs: equation (49) itself."""
    slots = world.layout.fields + world.layout.pairs
    layout = FieldLayout.single_valued(tuple(f"slot{i}" for i in range(slots)))
    return Contender("poly-2", create_model("lr", layout, world.size + (world.size - 1) ** 2), crossed=True)


def _auc(label: NDArray[np.float32], score: NDArray[np.float32] | NDArray[np.float64]) -> float:
    return Auc().update(label, score).value()


def _reported(curve: Curve) -> Curve:
    log.info("poly2 %s: AUC %.4f after %s rows", curve.name, curve.auc[-1], f"{curve.examples[-1]:,}")
    return curve
