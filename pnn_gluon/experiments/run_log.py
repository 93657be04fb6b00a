"""What is logged about a run of paper mode while it trains."""

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunLog:
    """Logs lines that begin with the model and the seed of a run.

    Attributes:
        model: Name of the model.
        seed: Of the run.
        level: Of the lines.
    """

    model: str
    seed: int
    level: int = logging.INFO

    def tell(self, text: str) -> None:
        """Log a line of progress."""
        log.log(self.level, "fit %s seed %d: %s", self.model, self.seed, text)
