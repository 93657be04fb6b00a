"""A tracker that does not answer, or not as it should: nothing depends on it."""

from collections.abc import Generator
from contextlib import contextmanager

from pnn_gluon.errors import PnnError
from pnn_gluon.secrets_masking import masked


class AwayError(PnnError):
    """A tracker could not be told; the message is its package's, without passwords."""


@contextmanager
def answering(*errors: type[Exception]) -> Generator[None, None, None]:
    """Turn errors of a tracker's package, and those of the network and of files, into AwayError.

    Raises:
        AwayError: in place of any of these.
    """
    caught: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except caught as error:
        raise AwayError(masked(f"{type(error).__name__}: {error}")) from error
