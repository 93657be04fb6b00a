"""What may be said otherwise in [source] where many lines of a day are rejects."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pnn_gluon.config import SourceConfig


class _Advice(NamedTuple):
    reason: str
    option: str
    words: str
    of_lines: bool = True


_KNOWN = (
    _Advice(".*not valid UTF-8", "encoding", 'source.encoding where they are in another, such as "cp1252"'),
    _Advice(".*holds a NUL byte", "encoding", 'source.encoding where they are in "utf-16"'),
    _Advice("quotes do not match", "quoted_newlines", "source.quoted_newlines where values hold line ends"),
    _Advice(
        "[0-9]+ columns, expected [0-9]+",
        "comment",
        "source.columns where a column is new, optional_columns where lines may lack some, or comment",
    ),
    _Advice(".*: expected 1 or 0", "quote", "source.label, or source.quote where values stand in quotes"),
    _Advice(".*: not seconds since 1970", "", 'source.time_format = "epoch_ms" where these are milliseconds', False),
    _Advice(".*: another day", "time_zone", "source.time_zone where days are not those of UTC", False),
)
"""A reason, what it leads to unless that option is given already, and whether it is about lines with delimiters."""


def advice_on(source: SourceConfig, reasons: Iterable[str]) -> str:
    """What to look at for these reasons, as part of a sentence; empty where nothing is known to help."""
    told = list(reasons)
    found = [
        each.words
        for each in _KNOWN
        if any(re.fullmatch(each.reason, reason) for reason in told)
        and each.option not in source.model_fields_set
        and (source.kind == "delimited" or not each.of_lines)
    ]
    return f" (perhaps {'; '.join(found)})" if found else ""
