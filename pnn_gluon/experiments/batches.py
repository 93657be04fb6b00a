"""Batches for training out of rows in memory."""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from pnn_gluon.arrays import Batch
from pnn_gluon.data.unseen import Unseen
from pnn_gluon.experiments.dataset import Examples


@dataclass(frozen=True, eq=False)
class MemoryBatches:
    """All rows once a pass, in an order drawn from (seed, epoch); the last batch may be short.

    `unseen` hides some fields, others in every pass.
    """

    examples: Examples
    batch_size: int
    seed: int
    unseen: Unseen | None = None

    @property
    def batch_count(self) -> int:
        """Number of batches of a pass."""
        return -(-len(self.examples.label) // self.batch_size)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the batches depend on."""
        unseen = f" {self.unseen.fingerprint}" if self.unseen else ""
        return hashlib.sha256(f"{self.examples.fingerprint} {self.batch_size} {self.seed}{unseen}".encode()).hexdigest()

    def batches(self, epoch: int, start_batch: int) -> Generator[Batch, None, None]:
        """The batches of a pass from a number on: ids int32 (B, S), labels float32 (B,)."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.examples.label))
        for start in range(start_batch * self.batch_size, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            ids = self.examples.ids[rows]
            yield self.unseen.applied(ids, (epoch, start)) if self.unseen else ids, self.examples.label[rows]
