"""A small learnable problem and sources of batches for the tests of training."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model

LAYOUT = FieldLayout.from_widths({"a": 1, "tags": 2, "b": 1})
SIZE = 30


def problem(rows, seed=0):
    """Ids and labels: clicks depend on the first field and on a pair of fields."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, SIZE, (rows, LAYOUT.slots)).astype(np.int32)
    ids[::3, 2] = 0
    score = np.sin(ids[:, 0]) + np.where(ids[:, 0] % 2 == ids[:, 3] % 2, 1, -1)
    return ids, (random.random(rows) < 1 / (1 + np.exp(-2 * score))).astype(np.float32)


@dataclass
class Source:
    """Batches in the order of the rows, each epoch the same."""

    ids: np.ndarray
    label: np.ndarray
    batch_size: int = 32
    fingerprint: str = "rows"

    @property
    def batch_count(self) -> int:
        return -(-len(self.ids) // self.batch_size)

    def batches(self, epoch: int, start_batch: int) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        for start in range(start_batch * self.batch_size, len(self.ids), self.batch_size):
            yield self.ids[start : start + self.batch_size], self.label[start : start + self.batch_size]


def source(rows=320, batch_size=32, seed=0):
    return Source(*problem(rows, seed), batch_size)


def model(name="ipnn", **options):
    if name not in {"lr", "fm", "afm"}:
        options = {"hidden": (8, 4)} | options
    if name != "lr":
        options = {"embedding_size": 4} | options
    return create_model(name, LAYOUT, SIZE, **options)


def values_of(net):
    """Parameter values by structural name."""
    return {name: p.list_data()[0].asnumpy() for name, p in net._collect_params_with_prefix().items()}


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
