"""The input that says which logs of a day are those of the day before again."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.details import RowsDetails
from pnn_gluon.pipeline.inputs import LOGS, Edge, Input, Known
from pnn_gluon.pipeline.tables import ROWS

if TYPE_CHECKING:
    from pnn_gluon.pipeline.partition import Partition
    from pnn_gluon.pipeline.reading import Reading


@dataclasses.dataclass(frozen=True)
class CopiedLogs(Input[Mapping[str, str]]):
    """Names of logs of the day, each with that of the file of the day before that has the same bytes.

    Recorded only where there are such. Small files may be equal by chance, and where lines tell their time the reading
    of the day refuses those of another one: neither is looked at.
    """

    rows: Input["Partition[RowsDetails]"]

    def read(self, reading: "Reading", known: Known) -> Mapping[str, str]:
        """Compare what both days were read from."""
        before = reading.unrecorded(ROWS, plus(reading.day, -1))
        if before is None or reading.config.source.time_columns:
            return {}
        earlier = {content: name for name, content in _large_logs(before).items()}
        found = {
            name: earlier[content] for name, content in _large_logs(known[self.rows]).items() if content in earlier
        }
        if found:
            reading.recorded[before.name] = before.run
        return found

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "`rows` of the day before if a log of it came again"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The rows, which the checks of that day wait for."""
        return (Edge(ROWS.name, back=1, needed=False),)


def _large_logs(rows: "Partition[RowsDetails]") -> dict[str, str]:
    """Size and SHA-256 of the logs that a day was read from, by name."""
    from pnn_gluon.data.raw_files import COPY_BYTES

    logs = {name.removeprefix(LOGS): told for name, told in rows.manifest.inputs.items() if name.startswith(LOGS)}
    return {name: told for name, told in logs.items() if told is not None and int(told.partition(":")[0]) >= COPY_BYTES}
