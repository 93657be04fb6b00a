"""The files with the rows that a candidate is judged by, and looked at with."""

from pathlib import Path

from pnn_gluon.pipeline.inputs import LabelledOver
from pnn_gluon.pipeline.steps import REFUSED_TO_GATE
from pnn_gluon.pipeline.tables import SAMPLE_FILE
from pnn_gluon.pipeline.work import Inputs

GATE_SHARE = "share = 'gate'"
"""The rows of a sample that no model was trained on or calibrated by, as SQL."""


def gate_samples(inputs: Inputs) -> list[Path]:
    """The samples of the gate's window, without days whose data were refused."""
    refused, window = inputs[REFUSED_TO_GATE], inputs[LabelledOver("gate.window_days")]
    return [sample.partition.file(SAMPLE_FILE) for day, sample in window.items() if day not in refused]
