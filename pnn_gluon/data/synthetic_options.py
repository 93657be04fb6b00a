"""What a synthetic click log should look like: one frozen, checked set of options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from pnn_gluon.errors import ConfigError, InputError

# Distinct values of C1..C26 in the Criteo display-advertising log, as published with the data set.
CRITEO_SIZES = (
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194,
    27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
)  # fmt: skip
HOUR_FIELD = 5  # C6, the field with 24 values, carries the hour of day
STABLE_SIZE = 100  # fields up to this size (devices, hours, countries) neither drift nor scale
_DEMO_KNEE = 600  # the demo preset keeps sizes up to here and takes the 4th root of the excess


def _demo_size(size: int) -> int:
    """Compress a real vocabulary into the low thousands; small ones stay as they are."""
    return size if size <= _DEMO_KNEE else round(_DEMO_KNEE * (size / _DEMO_KNEE) ** 0.25)


PRESETS = {"demo": tuple(map(_demo_size, CRITEO_SIZES)), "criteo": CRITEO_SIZES}
COMPRESSIONS = {"none": "", "gz": ".gz", "zst": ".zst"}  # name -> file suffix


@dataclass(frozen=True)
class SyntheticOptions:
    """Options of the synthetic world; equal options give equal bytes.

    Attributes:
        seed: chooses the world: every token, weight and draw follows from it.
        first_day: the day the world begins; earlier days are refused.
        rows_per_day: log lines a day (bad lines included).
        request_rows_per_day: candidate lines a day.
        vocabulary: sizes of C1..C26: ``demo`` (up to some 7,000 values) or ``criteo`` (up to 10 million).
        vocabulary_scale: factor on every size above 100.
        click_rate: mean click probability of the first day.
        drift: share of the values of each large field that a new value begins to replace every day;
            it also sets the amplitude of the slow wave in the bias.
        interaction_strength: factor on the planted pair and product effects; 0 leaves an additive world.
        hour_effect: amplitude of the daily wave in the logit.
        bad_line_share: share of log lines that are damaged.
        files_per_day: log files a day.
        compression: ``none``, ``gz`` or ``zst``, for logs and requests.

    Raises:
        ConfigError: an option is outside its range.
    """

    seed: int
    first_day: date
    rows_per_day: int = 150_000
    request_rows_per_day: int = 50_000
    vocabulary: str = "demo"
    vocabulary_scale: float = 1.0
    click_rate: float = 0.08
    drift: float = 0.03
    interaction_strength: float = 1.0
    hour_effect: float = 0.3
    bad_line_share: float = 0.0
    files_per_day: int = 1
    compression: str = "none"

    def __post_init__(self) -> None:
        """Check every option once, at the edge."""
        self._expect(self.vocabulary in PRESETS, "vocabulary", f"one of {', '.join(PRESETS)}")
        self._expect(self.compression in COMPRESSIONS, "compression", f"one of {', '.join(COMPRESSIONS)}")
        self._expect(self.seed >= 0, "seed", "an integer >= 0")
        self._expect(self.rows_per_day >= 1, "rows_per_day", "at least 1")
        self._expect(self.request_rows_per_day >= 1, "request_rows_per_day", "at least 1")
        self._expect(1 <= self.files_per_day <= self.rows_per_day, "files_per_day", "1 to rows_per_day")
        self._expect(0.001 <= self.click_rate <= 0.999, "click_rate", "0.001 to 0.999")
        self._expect(0.01 <= self.vocabulary_scale <= 10, "vocabulary_scale", "0.01 to 10")
        self._expect(0 <= self.drift <= 1, "drift", "0 to 1")
        self._expect(0 <= self.bad_line_share <= 1, "bad_line_share", "0 to 1")
        self._expect(0 <= self.interaction_strength <= 10, "interaction_strength", "0 to 10")
        self._expect(0 <= self.hour_effect <= 10, "hour_effect", "0 to 10")

    def _expect(self, fulfilled: bool, name: str, expected: str) -> None:
        if not fulfilled:
            received = getattr(self, name)
            raise ConfigError(f"SyntheticOptions.{name}: expected {expected}, received {received!r}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Live values of C1..C26 on any one day."""
        return tuple(
            size if size <= STABLE_SIZE else max(STABLE_SIZE + 1, round(size * self.vocabulary_scale))
            for size in PRESETS[self.vocabulary]
        )

    @property
    def suffix(self) -> str:
        """File name ending of a log or request file."""
        return f".tsv{COMPRESSIONS[self.compression]}"

    def day_number(self, day: date) -> int:
        """Days from ``first_day`` to ``day``.

        Raises:
            InputError: ``day`` is before the world begins.
        """
        if day < self.first_day:
            raise InputError(
                f"synthetic day {day}: expected {self.first_day} or later; ask for a later day "
                "or set first_day earlier (which changes every day's content)"
            )
        return (day - self.first_day).days

    def world(self) -> SyntheticOptions:
        """The options that shape the world alone, with those of its files at their defaults."""
        return replace(
            self,
            rows_per_day=1,
            request_rows_per_day=1,
            files_per_day=1,
            bad_line_share=0.0,
            compression="none",
        )
