"""The table of an export on the score server: beside the score table, with its rights, replaced in the same way."""

from pathlib import Path

from jobs.score_server import score_server
from jobs.steps.publish import scores_in
from pnn_gluon.days import parse_day
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.pipeline.details import ExportDetails
from pnn_gluon.pipeline.exports import Export
from pnn_gluon.pipeline.inputs import Saved
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.tables import SCORES_FILE, exports
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.warehouse.score_table import COLUMNS, MadeFrom, publish_scores, standing_run


class ExportTable:
    """One day of it."""

    def __init__(self, export: Export, inputs: Inputs) -> None:
        self.name = export.table_name(inputs.config)
        self._inputs, self._last = inputs, inputs[Saved(exports(export.name))]

    def replace(self, scores: Path, details: ExportDetails) -> int:
        """Make the scores of a file the whole of the day; the number of that publication of the day, from 1."""
        run = sha256_of(scores)
        made_from = MadeFrom(
            run,
            self._store,
            model_day=parse_day(details.model_day),
            fallback=details.state == "fallback",
            why=details.why or details.override or "",
            at_least=self._at_least(run),
        )
        rows = scores_in(scores, details.model_day, details.map_day)
        with score_server(self._inputs.config) as uri:
            force = self._inputs.force
            return publish_scores(uri, self.name, self._inputs.day, rows, made_from, take_over=force).sequence

    def clear(self, why: str) -> None:
        """Leave no row of the day: what an earlier export put there is not what was asked for now."""
        made_from, nothing = MadeFrom(store=self._store, why=why), COLUMNS.empty_table()
        with score_server(self._inputs.config) as uri:
            publish_scores(uri, self.name, self._inputs.day, nothing, made_from, take_over=self._inputs.force)

    def holds(self, made: Partition[ExportDetails]) -> bool:
        """Whether the server's day is still of this run."""
        with score_server(self._inputs.config) as uri:
            return standing_run(uri, self.name, self._inputs.day) == made.sha256(SCORES_FILE)

    @property
    def _store(self) -> str:
        return f"{self._inputs.config.name} in {self._inputs.config.store_root}"

    def _at_least(self, run: str) -> int:
        """The least number of a publication of this run, should the server have forgotten the earlier ones."""
        if self._last is None or self._last.kept is not None or self._last.details.sequence is None:
            return 1
        return self._last.details.sequence + (run != self._last.sha256(SCORES_FILE))
