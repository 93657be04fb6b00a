"""Errors a user can act on; each kind has the exit status its command ends with."""


class PnnError(Exception):
    """Anything the pipeline refuses or fails at, with a message that says what to do."""

    exit_status = 1


class ConfigError(PnnError):
    """The configuration or the command line is wrong."""

    exit_status = 2


class InputError(PnnError):
    """The input is missing or bad: raw files, a parent day, a store partition."""

    exit_status = 3


class DamagedError(InputError):
    """A file of the store is not what was written; the message names the command that mends it."""


class GateRefused(PnnError):
    """The candidate model did not pass the gate."""

    exit_status = 4
