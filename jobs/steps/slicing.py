"""The slices of a day's rows: which values of a field stand by themselves, and which slice each row is of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.config import Config
    from pnn_gluon.evaluation.slices import Slices
    from pnn_gluon.serving.bundle import ScoredBatch
    from pnn_gluon.store.parts import Files

IDS = "values in the map"
"""A name that no field can have."""
KNOWN_OR_NEW = ("known", "new")
"""Whether the model's map has every value of a row."""
OTHERS, MISSING = "all other values", "no value"


class Slicing:
    """By field the values with the most rows, one by one; all others together; those without a value."""

    def __init__(self, largest: Mapping[str, tuple[str, ...]]) -> None:
        self._largest = largest

    @classmethod
    def of(cls, config: "Config", rows: "Files") -> "Slicing":
        """Look which values of the fields of `evaluation.slices` have the most rows, by their weights."""
        fields, most = config.evaluation.slices, config.evaluation.slice_values
        if not fields:
            return cls({})
        from pnn_gluon.warehouse.duckdb_engine import connect, identifier, parquet

        rank = "sum(weight)" if config.source.weights is not None else "count(*)"
        largest: dict[str, tuple[str, ...]] = {}
        with connect(config.engine) as connection:
            for field in fields:
                name = identifier(field)
                found = connection.execute(
                    f"select {name} from {parquet(rows)} where {name} is not null "
                    f"group by {name} order by {rank} desc, {name} limit {most}"
                )
                largest[field] = tuple(value for (value,) in found.fetchall())
        return cls(largest)

    def empty(self) -> "Slices":
        """The slices without a row."""
        from pnn_gluon.evaluation.slices import SlicedBy, Slices

        by = {field: SlicedBy.empty((*values, OTHERS, MISSING)) for field, values in self._largest.items()}
        return Slices({IDS: SlicedBy.empty(KNOWN_OR_NEW), **by})

    def where(self, batch: "ScoredBatch") -> "dict[str, NDArray[np.intp]]":
        """The position of each row's value in each property's."""
        import numpy as np

        found = {IDS: batch.new_value.astype(np.intp)}
        for field, values in self._largest.items():
            position = {value: at for at, value in enumerate(values)} | {None: len(values) + 1}
            found[field] = np.array(
                [position.get(value, len(values)) for value in batch.columns[field].to_pylist()], np.intp
            )
        return found
