"""A loaded bundle that answers a few rows at once, to the bits of the jobs that score whole tables."""

from pathlib import Path
from typing import Any, Self

import numpy as np

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.data.encoding import encode_batch
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.request_rows import Columns, record_batch
from pnn_gluon.training.export import SCORING_ROWS

FEW_ROWS = (8, 32, 128, 512)
"""Rows that are computed together at most, where that gives the bits of a whole batch."""

_CHUNK = 4096
"""Words that are taken into a dictionary at once: answers do not wait for more."""


class KnownWords:
    """The ids of a map's words in dictionaries, which answer a few words without a look at all others."""

    def __init__(self, feature_map: FeatureMap) -> None:
        self._ids = [_dictionary(feature_map, position) for position in range(len(feature_map.fields))]
        self._others = [feature_map.other_id(position) for position in range(len(feature_map.fields))]

    def look_up(self, position: int, words: Any) -> Ids:
        """See `pnn_gluon.data.encoding.LookUp`."""
        known, other = self._ids[position], self._others[position]
        return np.array([known.get(word, other) for word in words.to_pylist()], np.int32)


def _dictionary(feature_map: FeatureMap, position: int) -> dict[str, int]:
    known: dict[str, int] = {}
    for words in feature_map.dictionary(position).to_batches(_CHUNK):
        known.update(zip(words.column("value").to_pylist(), words.column("id").to_pylist(), strict=True))
    return known


class LiveModel:
    """A bundle, the words of its map, and how many rows it computes together.

    A batch of a scoring job has 4,096 rows. `sizes` are the smaller numbers of rows for which a trial of random ids,
    when the bundle was loaded, gave the bits of such batches: with native operators all of `FEW_ROWS`. With others
    there may be none, and one row costs as much as 4,096. A network of our own operators alone is not padded at all.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._words = KnownWords(bundle.feature_map)
        self.sizes = self._equal_sizes()
        self.probability([[None] for _ in bundle.feature_map.fields])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a bundle and score a row, so that the first request does not wait.

        Raises:
            InputError: it is none, or damaged.
            ConfigError: this program cannot compute its model.
        """
        return cls(Bundle.load(folder))

    @property
    def described(self) -> dict[str, str]:
        """What an answer says of its model: `name` and the `day` it was trained for."""
        return {"name": str(self.bundle.card.model["name"]), "day": self.bundle.card.model_day}

    def probability(self, columns: Columns) -> Floats:
        """Calibrated probability (B,) of rows by their values, see `request_columns`."""
        feature_map = self.bundle.feature_map
        ids = encode_batch(feature_map, record_batch(feature_map, columns), look_up=self._words.look_up).ids
        batch_rows = next((size for size in self.sizes if size >= len(ids)), self.sizes[-1])
        return self.bundle.probability(self.bundle.scorer.logits(ids, batch_rows), ids)

    def _equal_sizes(self) -> tuple[int, ...]:
        """The numbers of rows that give the bits of a whole batch; that of a whole batch alone if one does not."""
        known, logits = self.bundle.feature_map, self.bundle.scorer.logits
        ids = np.random.default_rng(1).integers(0, known.size, (SCORING_ROWS, known.layout.slots), np.int32)
        whole = logits(ids)
        tried = [(size, ids[: 4 * size]) for size in FEW_ROWS]
        same = all(np.array_equal(logits(some, size), whole[: len(some)]) for size, some in tried)
        return FEW_ROWS if same else (SCORING_ROWS,)
