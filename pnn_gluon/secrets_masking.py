"""Passwords hidden in text that people and log files get to see."""

import os
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SECRET_VARIABLES = {"PNN_GLUON_SCORES_URI", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
"""Environment variables whose value is a secret; whoever reads another one for a URI adds its name."""

_USER_AND_PASSWORD = re.compile(r"(?P<before>[a-zA-Z][\w+.-]*://[^\s:]*:)\S*@")
"""From the scheme to the last @ of the word: a raw password may hold @ / ? # and %, a user @ and /."""
_QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_KEY_AND_VALUE = re.compile(
    rf"(?P<before>(?P<query>[?&])?\b(?:ssl)?pass(?:word|wd)(?:\s*=\s*|[\"']\s*:\s*))(?:{_QUOTED}|(?(query)[^\s&]+|\S+))",
    re.IGNORECASE,
)
"""`password=...` of a key=value DSN or of a URI's query, `"password": ...` of a mapping."""


def masked(text: str) -> str:
    """The text with every password in a URI or DSN, and every known secret of the environment, as `***`."""
    values = [value for name in SECRET_VARIABLES if (value := os.environ.get(name))]
    for secret in sorted({form for value in values for form in _forms_and_pieces(value)}, key=len, reverse=True):
        text = _without(text, secret)
    text = _USER_AND_PASSWORD.sub(rf"\g<before>{HIDDEN}@", text)
    return _KEY_AND_VALUE.sub(rf"\g<before>{HIDDEN}", text)


def secret_forms(uri: str) -> set[str]:
    """A URI or DSN and the passwords it may hold, each raw, percent-decoded and percent-encoded."""
    return _spelt((uri, *_passwords(uri)))


def _forms_and_pieces(uri: str) -> set[str]:
    """Also what an error may quote of a password that is taken for a host or a port."""
    return secret_forms(uri) | _spelt(piece for password in _passwords(uri) for piece in _pieces(password))


def _passwords(uri: str) -> Iterable[str]:
    """What may be the password: up to the last @, as a person means it, and within the authority, as libpq reads it."""
    _, _, rest = uri.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    for login in (rest.rpartition("@")[0], authority.rpartition("@")[0]):
        raw = login.partition(":")[2]
        yield from (raw, unquote(raw))
    for found in _KEY_AND_VALUE.finditer(uri):
        value = found.group()[len(found["before"]) :].strip("'\"")
        yield from (value, re.sub(r"\\(.)", r"\1", value))


def _pieces(password: str) -> Iterable[str]:
    for cut in re.finditer(r"[@/?#:]", password):
        yield from (password[: cut.start()], password[cut.end() :])
    yield from re.split(r"[@/?#:]", password)


def _spelt(texts: Iterable[str]) -> set[str]:
    return {form for text in texts for form in _spellings(text) if form}


def _spellings(text: str) -> set[str]:
    return {text, unquote(text), unquote_plus(text), quote(text, safe=""), quote(text), quote_plus(text)}


def _without(text: str, secret: str) -> str:
    """The text without a secret; a short one only as a word of its own, not within another word."""
    if len(secret) >= 6:
        return text.replace(secret, HIDDEN)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text) if len(secret) > 2 else text
