"""What the day's model is worth, as a page and as JSON: everything that the other steps found, nothing of its own."""

import datetime
import logging
from pathlib import Path

from pnn_gluon.pipeline.details import ReportDetails
from pnn_gluon.pipeline.inputs import Before, IfThere
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import EVALUATIONS, NUMBERS_FILE, REPORT_FILE, D, Table
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


class _EarlierDay:
    """What is shown of a day before."""

    def __init__(self, inputs: Inputs, day: datetime.date) -> None:
        self._inputs, self._day = inputs, day

    def __call__(self, table: Table[D]) -> Partition[D] | None:
        return self._inputs[Before(table, "report.trend_days")].get(self._day)


def build(inputs: Inputs, folder: Path) -> Built:
    """Show what was made of the day, and the days before as far as they are there."""
    import jinja2
    import matplotlib

    from jobs.day_documents import day_document
    from pnn_gluon.report.pages import render_day

    def parts(table: Table[D]) -> Partition[D] | None:
        return inputs[IfThere(table, waited=True)]

    earlier = [_EarlierDay(inputs, day) for day in sorted(inputs[Before(EVALUATIONS, "report.trend_days")])]
    name = inputs.config.name
    document = day_document(name, str(inputs.day), parts, earlier)
    if document is None:
        return kept(f"{inputs.day} was not evaluated", ReportDetails(verdict=()))
    verdict = document.verdict()
    for sentence in verdict:
        log.info("report %s: %s", inputs.day, sentence)
    (folder / NUMBERS_FILE).write_bytes(document.to_json())
    (folder / REPORT_FILE).write_text(render_day(f"{name}: {inputs.day}", document), encoding="utf-8")
    versions = {"matplotlib": matplotlib.__version__, "jinja2": jinja2.__version__}
    return Built(1, ReportDetails(verdict=verdict), versions)
