"""Rows labelled by a function of second degree: what dense networks alone fit badly ([PNN] 5.4, equations 49-50)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError

_CHUNK = 4096
_THRESHOLD_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Poly2World:
    """label = 1 if sum_i w_i + sum_{i<j} v_ij + noise >= threshold, over the categories of a row.

    w has a number for each category and v one for each pair of categories of different fields, all standard normal.
    The category of a field follows a distribution of its own. The threshold is the median of many rows without
    noise, so that half of the labels are 1.

    Attributes:
        sizes: Categories of each field; category c of field i has the id 1 + sizes[0] + ... + sizes[i - 1] + c.
        probabilities: Those of all categories; of each field they sum to 1.
        linear: w (categories,).
        pairs: v (categories, categories), symmetric, 0 within a field.
        noise: Standard deviation of the noise.
        threshold: See above.
    """

    sizes: tuple[int, ...]
    probabilities: Floats
    linear: Floats
    pairs: Floats
    noise: float
    threshold: float

    @classmethod
    def draw(cls, sizes: tuple[int, ...], *, noise: float = 0.5, seed: int = 1) -> Self:
        """A world of fields with these numbers of categories.

        Raises:
            ConfigError: a field without categories.
        """
        if not sizes or min(sizes) < 1:
            raise ConfigError(f"every field needs one category or more, not {sizes}")
        random = np.random.default_rng(seed)
        probabilities = np.concatenate([random.dirichlet(np.ones(size)) for size in sizes])
        field = np.repeat(np.arange(len(sizes)), sizes)
        upper = np.triu(random.normal(size=(len(field), len(field))) * (field[:, None] != field), 1)
        linear = random.normal(size=len(field))
        world = cls(sizes, probabilities, linear, upper + upper.T, noise, 0.0)
        scores = world.scores(world._draw_ids(_THRESHOLD_ROWS, random))
        return cls(sizes, probabilities, linear, world.pairs, noise, float(np.median(scores)))

    @property
    def size(self) -> int:
        """Number of ids V, with padding."""
        return 1 + sum(self.sizes)

    @property
    def layout(self) -> FieldLayout:
        """The fields of a row."""
        return FieldLayout.single_valued(tuple(f"field{i}" for i in range(len(self.sizes))))

    def rows(self, count: int, seed: int) -> tuple[Ids, NDArray[np.float32]]:
        """Ids int32 (count, n) and labels float32 (count,)."""
        random = np.random.default_rng(seed)
        ids = self._draw_ids(count, random)
        noisy = self.scores(ids) + self.noise * random.normal(size=count)
        return ids, (noisy >= self.threshold).astype(np.float32)

    def scores(self, ids: Ids) -> Floats:
        """The function of second degree, without noise (rows,)."""
        return np.concatenate([self._score(ids[first : first + _CHUNK]) for first in range(0, len(ids), _CHUNK)])

    def _score(self, ids: Ids) -> Floats:
        present = np.zeros((len(ids), self.size - 1))
        np.put_along_axis(present, ids - 1, 1.0, axis=1)
        scores: Floats = present @ self.linear + 0.5 * np.einsum("bi,bi->b", present @ self.pairs, present)
        return scores

    def _draw_ids(self, count: int, random: np.random.Generator) -> Ids:
        starts = np.cumsum((0, *self.sizes))[:-1]
        columns = [
            1 + start + random.choice(size, count, p=self.probabilities[start : start + size])
            for start, size in zip(starts, self.sizes, strict=True)
        ]
        ids: Ids = np.stack(columns, axis=1).astype(np.int32)
        return ids


def random_sizes(categories: int, fields: int, seed: int) -> tuple[int, ...]:
    """Field sizes drawn from 1 to 2 N / n, so that a field has N / n categories on average."""
    drawn = np.random.default_rng(seed).integers(1, 2 * categories // fields + 1, fields)
    return tuple(int(size) for size in drawn)


def crossed_ids(ids: Ids, size: int) -> Ids:
    """Ids of the categories and of all pairs (rows, n + P): logistic regression on them is poly-2 regression.

    The pair (a, b) has the id size + (a - 1) (size - 1) + b - 1; there are size + (size - 1)^2 ids in all.
    """
    second, first = np.tril_indices(ids.shape[1], -1)
    pairs = size + (ids[:, first] - 1) * (size - 1) + ids[:, second] - 1
    crossed: Ids = np.concatenate([ids, pairs], axis=1).astype(np.int32)
    return crossed
