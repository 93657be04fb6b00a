"""The input with the rows that bucket edges are fitted to."""

import dataclasses
from typing import TYPE_CHECKING

from pnn_gluon.config import Config
from pnn_gluon.pipeline.details import MapDetails, RowsDetails
from pnn_gluon.pipeline.inputs import Edge, Input, Known

if TYPE_CHECKING:
    from pnn_gluon.pipeline.partition import Partition
    from pnn_gluon.pipeline.reading import Reading


@dataclasses.dataclass(frozen=True)
class RowsToFit(Input["Partition[RowsDetails] | None"]):
    """The rows of the day, while there are bucket edges to be fitted to them: at first, and when a number is new."""

    parent: Input["Partition[MapDetails] | None"]
    rows: Input["Partition[RowsDetails]"]

    def read(self, reading: "Reading", known: Known) -> "Partition[RowsDetails] | None":
        """Read them if they are needed."""
        parent = known[self.parent]
        if parent is None or parent.details.unfitted:
            return self.rows.read(reading, known)
        before = (parent.manifest.options or {}).get("fields")  # release 0.1 did not write them down
        numbers = {field.name for field in reading.config.fields if field.kind == "numeric"}
        return self.rows.read(reading, known) if before is not None and not numbers <= set(before) else None

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"{self.rows.words} if needed"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """Those of the rows."""
        return self.rows.edges(config)
