"""The rows that a candidate is judged by, and looked at with."""

from typing import TYPE_CHECKING

from jobs.steps.sampled import sampled_rows
from pnn_gluon.pipeline.inputs import LabelledOver
from pnn_gluon.pipeline.steps import REFUSED_TO_GATE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.sampled_rows import SampledRows

GATE_SHARE = "share = 'gate'"
"""The rows of a sample that no model was trained on or calibrated by, as SQL."""


def gate_samples(inputs: Inputs) -> "list[SampledRows]":
    """The samples of the gate's window, without days whose data were refused."""
    refused, window = inputs[REFUSED_TO_GATE], inputs[LabelledOver("gate.window_days")]
    return [part for day, sample in window.items() if day not in refused for part in sampled_rows(sample.partition)]
