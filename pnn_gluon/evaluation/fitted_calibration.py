"""A bundle's calibration, fitted: the whole's calibrator, the segments' lines, and what there is to tell of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from pnn_gluon.evaluation.calibration import ISOTONIC_CLICKS, Method, calibration_note, fit_chosen
from pnn_gluon.evaluation.method_choice import MethodChoice
from pnn_gluon.evaluation.segment_fit import SegmentFit, fit_segments
from pnn_gluon.evaluation.segments import Calibration, RowSegments


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration; how auto chose, how segments were shrunk, and how the fit differs from what was asked for."""

    calibration: Calibration
    choice: MethodChoice | None
    segments: SegmentFit | None
    notes: tuple[str, ...]

    @property
    def details(self) -> Mapping[str, Any] | None:
        """The choice and the shrinkage, fit for JSON; None where there was neither."""
        told: dict[str, Any] = {} if self.choice is None else self.choice._asdict()
        if self.segments is not None:
            lines, *shrunk = self.segments
            names = ("shift_deviation", "slope_deviation", "pooled")
            told["segments"] = {
                "field": lines.field,
                "carried": len(lines.ids),
                **dict(zip(names, shrunk, strict=True)),
            }
        return told or None

    def told(self) -> list[str]:
        """The same in words, a line each."""
        lines = []
        if self.choice is not None:
            losses = ", ".join(f"{method} {loss:.6f}" for method, loss in self.choice.losses.items())
            lines.append(f"chose {self.choice.method} by cross-validated log loss: {losses}")
        if self.segments is not None:
            of, shift, slope, _ = self.segments
            lines.append(f"{len(of.ids):,} values of {of.field}: shifts deviate by {shift:.3f}, slopes by {slope:.3f}")
        return lines


def fit_calibration(
    method: Method,
    corrected_logit: ArrayLike,
    label: ArrayLike,
    min_clicks: int = ISOTONIC_CLICKS,
    segment: RowSegments | None = None,
    weight: ArrayLike | None = None,
) -> FittedCalibration:
    """Fit the whole's calibrator, then the segments' lines beside it; see `fit_calibrator` and `fit_segments`."""
    whole, choice = fit_chosen(method, corrected_logit, label, min_clicks, weight)
    notes = [calibration_note(method, label, min_clicks, weight)]
    found = None if segment is None else fit_segments(segment, whole.logit(corrected_logit), label, weight)
    if found is not None and found.pooled:
        of = found.segments
        notes.append(
            f"of {of.field} the {len(of.ids):,} values of most rows are calibrated apart, {found.pooled:,} are not"
        )
    calibration = Calibration(whole, None if found is None else found.segments)
    return FittedCalibration(calibration, choice, found, tuple(filter(None, notes)))
