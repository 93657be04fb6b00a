"""Who decides about a model, when and why: checked before it is recorded."""

import datetime
import getpass
from typing import NamedTuple

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.secrets_masking import masked

LONGEST_NAME = 100
LONGEST_REASON = 1000


class Signature(NamedTuple):
    """A name, None where none is known, and a moment (UTC)."""

    by: str | None = None
    at: str | None = None


UNSIGNED = Signature()


def signed(by: str | None, at: str | None = None) -> Signature:
    """The signature of whoever is named, or else is logged in; of now, unless a moment is given.

    Raises:
        ConfigError: the name is empty or odd, or the moment is none with a time zone.
    """
    name = (getpass.getuser() if by is None else by).strip()
    if not name:
        raise ConfigError("--by: nobody is named; who decides is recorded")
    return Signature(plain(name, "--by", LONGEST_NAME), moment(at))


def moment(at: str | None) -> str:
    """A moment in UTC, to the second; now by default.

    Raises:
        ConfigError: for what is none, or has no time zone.
    """
    try:
        found = datetime.datetime.now(datetime.UTC) if at is None else datetime.datetime.fromisoformat(at)
    except ValueError as error:
        raise ConfigError(f"--at {at!r}: expected a moment such as 2026-11-02T07:30:00+00:00") from error
    if found.tzinfo is None:
        raise ConfigError(f"--at {at!r}: it needs its time zone, such as +00:00 at its end")
    return found.astimezone(datetime.UTC).isoformat(timespec="seconds")


def reasoned(reason: str) -> str:
    """A reason that can be recorded and shown, without a password that was pasted with it.

    Raises:
        ConfigError: it is empty, too long, or has control characters.
    """
    if not reason.strip():
        raise ConfigError("--reason: say why in a few words; it is recorded")
    return masked(plain(reason.strip(), "--reason", LONGEST_REASON))


def plain(text: str, option: str, longest: int) -> str:
    """One line of readable text.

    Raises:
        ConfigError: it is longer than that, or has control characters, which a terminal would obey.
    """
    if len(text) > longest:
        raise ConfigError(f"{option}: {len(text):,} characters, expected at most {longest:,}")
    if not text.isprintable():
        raise ConfigError(f"{option} {text!r}: expected one line without control characters")
    return text


def refusal(config: Config, *names: str | None) -> str | None:
    """Why whoever has these names may not decide; None for those who may."""
    allowed = config.approval.approvers
    if not allowed or set(names) & set(allowed):
        return None
    who = next((name for name in names if name), "nobody in particular")
    return f"{who} may not decide about models of {config.name}; approval.approvers are {', '.join(allowed)}"
