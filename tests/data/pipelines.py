"""Small pipelines for tests: a TOML file from a source and fields, loaded as the real ones are."""

from pathlib import Path

from pnn_gluon.config import Config, load_config

CSV = """
logs = "logs/{day}/*"
requests = "requests/{day}/*"
delimiter = ","
columns = ["id", "click", "time", "site", "price", "tags"]
label = { column = "click" }
id_column = "id"
time_column = "time"
missing = ["", "null"]
max_reject_share = 1.0
"""

FIELDS = """
fields = [
    { name = "site" },
    { name = "price", kind = "numeric", bucketing = "log" },
    { name = "tags", kind = "multi", separator = "|" },
    { name = "hour_of_day" },
    { name = "weekday" },
]
"""


def pipeline(folder: Path, source: str = CSV, fields: str = FIELDS, more: str = "") -> Config:
    """A configuration written to the folder; paths in it are relative to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pipeline.toml"
    path.write_text(
        f'name = "test"\nfirst_day = 2026-11-01\n{fields}\n[store]\nroot = "store"\n'
        f'[model]\nname = "lr"\n[source]\n{source}\n{more}\n'
    )
    return load_config(path)


def changed(text: str, **options: str) -> str:
    """A source with some options replaced or added, values as TOML."""
    kept = [line for line in text.splitlines() if line.split(" = ")[0] not in options]
    return "\n".join([*kept, *(f"{key} = {value}" for key, value in options.items())])
