"""A calibrator by segment: one for the whole, and by the value of a field a line of its logit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibrators import Calibrator, calibrator_from_dict
from pnn_gluon.evaluation.log_odds import sigmoid


class RowSegments(NamedTuple):
    """The segment of each row: the id of a field's value (B,); rows of the id `other` keep to the whole."""

    field: str
    ids: Ids
    other: int


@dataclass(frozen=True)
class Segments:
    """The lines of the segments: scale x whole's calibrated logit + shift; any other segment has the whole's logit.

    Within a segment ranks are kept, since scales are above 0; across segments they may change.

    Raises:
        InputError: ids that do not rise, scales not above 0, or numbers of them that differ.
    """

    field: str
    ids: tuple[int, ...]  # of the field's values in the bundle's map, rising
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __post_init__(self) -> None:
        scale, shift = np.asarray(self.scale), np.asarray(self.shift)
        whole = len(self.ids) == len(self.scale) == len(self.shift) and (np.diff(self.ids) > 0).all()
        if not (whole and np.isfinite(scale).all() and (scale > 0).all() and np.isfinite(shift).all()):
            raise InputError(
                f"calibrator: expected rising ids, finite scales > 0 and finite shifts of the segments of "
                f"{self.field!r}; calibrate the model again"
            )

    def logit(self, whole: Floats, segment: Ids) -> Floats:
        """Calibrated logits of the whole's calibrated logits and the ids of the segments, all (B,)."""
        ids = np.array([*self.ids, -1])
        place = np.searchsorted(ids[:-1], segment)
        place = np.where(ids[place] == segment, place, len(self.ids))
        result: Floats = np.array([*self.scale, 1.0])[place] * whole + np.array([*self.shift, 0.0])[place]
        return result


@dataclass(frozen=True)
class Calibration:
    """What a bundle calibrates by: the whole's calibrator, and the segments' lines where there are any."""

    whole: Calibrator
    segments: Segments | None = None

    @property
    def field(self) -> str | None:
        """The field whose values are the segments."""
        return None if self.segments is None else self.segments.field

    def logit(self, corrected_logit: ArrayLike, segment: RowSegments | None = None) -> Floats:
        """Calibrated logits of corrected logits (B,).

        Args:
            corrected_logit: Of the model (B,).
            segment: Of the same rows; without segments nobody looks at it.

        Raises:
            InputError: there are segments, and those of the rows are not of their field.
        """
        whole = self.whole.logit(corrected_logit)
        if self.segments is None:
            return whole
        if segment is None or segment.field != self.segments.field:
            received = "none" if segment is None else f"those of {segment.field!r}"
            raise InputError(
                f"calibration by {self.segments.field!r}: expected the rows' segments, received {received}"
            )
        return self.segments.logit(whole, segment.ids)

    def probability(self, corrected_logit: ArrayLike, segment: RowSegments | None = None) -> Floats:
        """Probabilities of the same."""
        if self.segments is None:
            return self.whole.probability(corrected_logit)
        return sigmoid(self.logit(corrected_logit, segment))

    def to_dict(self) -> dict[str, Any]:
        """A description fit for JSON; without segments that of the whole's calibrator."""
        whole = self.whole.to_dict()
        if self.segments is None:
            return whole
        lines = {name: list(getattr(self.segments, name)) for name in ("ids", "scale", "shift")}
        return {"method": "segments", "whole": whole, "field": self.segments.field, **lines}


def calibration_from_dict(description: Mapping[str, Any]) -> Calibration:
    """The calibration that `to_dict` described, equal to the last bit also after JSON.

    Raises:
        InputError: when the description is not one that `to_dict` makes.
    """
    try:
        if description["method"] != "segments":
            return Calibration(calibrator_from_dict(description))
        ids = tuple(int(each) for each in description["ids"])
        scale, shift = (tuple(float(each) for each in description[name]) for name in ("scale", "shift"))
        segments = Segments(str(description["field"]), ids, scale, shift)
        return Calibration(calibrator_from_dict(description["whole"]), segments)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"calibrator: {error!r} in {str(description)[:200]}; calibrate the model again") from error
