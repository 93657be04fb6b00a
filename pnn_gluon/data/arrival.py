"""Whether the raw files of a day have all come, as far as the rules of the configuration can tell."""

import datetime
import time
from typing import NamedTuple

from pnn_gluon.config import ArrivalConfig, Config
from pnn_gluon.data.raw_files import NoRawFiles, RawFile, list_raw_files
from pnn_gluon.days import plus
from pnn_gluon.time_zones import UTC, hours_shown, start_of


class Arrival(NamedTuple):
    """What is there of a day, and what it waits for; `missing` is empty once nothing is."""

    files: int
    size: int
    missing: str


def arrival(config: Config, kind: str, day: datetime.date, now: float | None = None) -> Arrival:
    """The raw files of a day by the rules of `[arrival]`; click files come with the logs.

    Args:
        config: The pipeline.
        kind: `logs` or `requests`.
        day: The day of the files.
        now: The present time, seconds since 1970; by default the clock's.

    Raises:
        ConfigError: the configuration does not say where they lie.
        InputError: a file is there twice, compressed in two ways.
    """
    rules = config.arrival
    kinds = (kind, "clicks") if kind == "logs" and config.source.clicks is not None else (kind,)
    try:
        found = [_files(config, each, day) for each in kinds]
    except NoRawFiles as error:
        return Arrival(0, 0, str(error))
    files = [file for each in found for file in each]
    size = sum(file.size for file in found[0])
    if kind == "logs" and size < rules.min_bytes:
        return Arrival(len(files), size, f"{size:,} bytes of logs, and arrival.min_bytes is {rules.min_bytes:,}")
    over = start_of(plus(day, 1), config.source.time_zone).replace(tzinfo=datetime.UTC)
    now = time.time() if now is None else now
    if kind == "logs" and config.source.time_zone != UTC and now < over.timestamp():
        return Arrival(len(files), size, f"the day ends at {over:%Y-%m-%d %H:%M} UTC (source.time_zone)")
    changed = max(file.modified or 0 for file in files) / 1e9
    return Arrival(len(files), size, _unquiet(rules, over.timestamp(), changed, now))


def _files(config: Config, kind: str, day: datetime.date) -> tuple[RawFile, ...]:
    """The files of a kind, beside which the marker lies, of hours in each of them, if there is to be one."""
    patterns, marker = config.patterns(kind), config.arrival.marker
    files = list_raw_files(patterns, day, config.path.parent)
    if marker is not None:
        markers = [f"{each.rpartition('/')[0]}/{marker}" for each in patterns]
        hours = [f"{hour:02}" for hour in hours_shown(day, config.source.time_zone)]
        wanted = {each.replace("{hh}", hour): None for each in markers for hour in hours}
        list_raw_files(list(wanted), day, config.path.parent)
    return files


def _unquiet(rules: ArrivalConfig, over: float, changed: float, now: float) -> str:
    """Why files of a day that has just ended may still grow; a day that is long over is taken as it is."""
    quiet = (now - changed) / 60
    if now > over + 3600 * rules.patience_hours or quiet >= rules.quiet_minutes:
        return ""
    return f"changed {quiet:.1f} minutes ago, and arrival.quiet_minutes is {rules.quiet_minutes:g}"
