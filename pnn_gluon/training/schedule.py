"""The learning rate of each step, from where the run stands and nothing else: so a resumed run has the same rates.

rate = learning_rate * decay * warm-up, with t steps done before this one, e epochs done, b batches done in this
epoch of `batch_count`, and p = (e + b / batch_count) / epochs the share of the run that is done:

- constant: decay = 1
- linear: decay = 1 - (1 - final_rate_share) p
- cosine: decay = final_rate_share + (1 - final_rate_share) (1 + cos(pi p)) / 2; Loshchilov & Hutter (2017),
  "SGDR", equation 5, without restarts
- plateau: decay = plateau_factor ^ (number of epochs so far that were not better than the best before them)
- warm-up = min(1, (t + 1) / warmup_steps); Goyal et al. (2017), "Accurate, Large Minibatch SGD", 2.2
"""

import math
from collections.abc import Sequence

from pnn_gluon.training.history import EpochRecord, is_best, steps_of
from pnn_gluon.training.options import TrainingOptions

_PLATEAU_FACTOR = 0.1


def learning_rate(
    options: TrainingOptions, history: Sequence[EpochRecord], batch: int, batch_count: int | None
) -> float:
    """The learning rate of the next step.

    Args:
        options: Of the run.
        history: The epochs done.
        batch: Batches done in the current epoch.
        batch_count: Batches of an epoch; None where `needs_batch_count` is false.
    """
    warm = min(1.0, (steps_of(history) + batch + 1) / max(1, options.warmup_steps))
    return options.learning_rate * _decay(options, history, batch, batch_count) * warm


def needs_batch_count(options: TrainingOptions) -> bool:
    """Whether the rate depends on how many batches an epoch has."""
    return options.schedule in {"linear", "cosine"}


def _decay(options: TrainingOptions, history: Sequence[EpochRecord], batch: int, batch_count: int | None) -> float:
    if options.schedule == "plateau":
        factor = _PLATEAU_FACTOR if options.plateau_factor is None else options.plateau_factor
        return factor ** sum(not is_best(history[: end + 1]) for end in range(len(history)))
    if batch_count is None:
        return 1.0
    left = 1 - (len(history) + batch / batch_count) / options.epochs
    if options.schedule == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    return options.final_rate_share + (1 - options.final_rate_share) * left
