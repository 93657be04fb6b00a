"""Where the lines of our loggers go when a command runs."""

import logging
from collections.abc import Sequence

from pnn_gluon.secrets_masking import masked

LOGGERS = ("jobs", "pnn_gluon")


class _Masked(logging.Formatter):
    """The message, without passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def show_on_stderr(loggers: Sequence[str] = LOGGERS) -> None:
    """From now on what our loggers tell is shown on standard error, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Masked("%(message)s"))
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers = [handler]
        logger.propagate = False
