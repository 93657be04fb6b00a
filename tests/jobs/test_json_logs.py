"""A day of JSON lines through the steps: rows as from delimited logs of the same content, and a score a request."""

import datetime
import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.commands.score_table import command
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.ingest import RawLines, Targets, ingest_requests
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.small_pipeline import FIELDS, FIRST, PIPELINE, UNPUBLISHED, build, write_raw
from tests.jobs.test_commands import run

SOURCE = """
[source]
kind = "json"
logs = "json/logs/{day}/*.json.gz"
requests = "json/requests/{day}/*.json.gz"
label = { column = "outcome.click" }
max_reject_share = 0.1
"""


@pytest.fixture
def delimited(tmp_path: Path) -> Config:
    """A day of generated logs, and the requests of the next."""
    write_raw(tmp_path / "raw", [FIRST])
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    return load_config(tmp_path / "pipeline.toml")


@pytest.fixture
def lines(delimited: Config) -> Config:
    """The same content as JSON lines: numbers as numbers, the fields in objects within objects."""
    folder = delimited.path.parent
    names = [name for name in delimited.source.columns if name != "label"]
    for kind, day, columns in (("logs", FIRST, ["label", *names]), ("requests", plus(FIRST, 1), names)):
        write_json(folder, kind, day, columns)
    fields = ", ".join(
        f'{{ name = "{field.name}", column = "ad.values.{field.name}"{numeric(field.kind)} }}'
        for field in delimited.fields
    )
    head, rest = PIPELINE.removeprefix(FIELDS).split("[source]")
    head = head.replace('"small"', '"lines"').replace('"store"', '"json/store"')
    sampling = rest[rest.index("[sampling]") :]
    (folder / "lines.toml").write_text(f"fields = [{fields}]\n{head}{SOURCE}{sampling}")
    return load_config(folder / "lines.toml")


def numeric(kind: str) -> str:
    return ', kind = "numeric", bucketing = "log_square"' if kind == "numeric" else ""


def write_json(folder: Path, kind: str, day: datetime.date, columns: list[str]) -> None:
    target = folder / f"json/{kind}/{day}"
    target.mkdir(parents=True)
    (source,) = (folder / f"raw/{kind}/{day}").iterdir()
    written = [as_json(line, columns) for line in source.read_text().splitlines()]
    (target / "a.json.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in written).encode()))


def as_json(line: str, columns: list[str]) -> str:
    """The columns as an object; a line that has others is cut off."""
    cells = line.split("\t")
    if len(cells) != len(columns):
        return f'{{"ad": "{cells[0]}'
    named = dict(zip(columns, cells, strict=True))
    values = {name: number(cell) if name.startswith("i") else cell for name, cell in named.items() if name != "label"}
    outcome = {"click": number(named["label"])} if "label" in named else {}
    return json.dumps({"ad": {"values": values}, "outcome": outcome})


def number(cell: str) -> int | str:
    return int(cell) if cell.lstrip("-").isdigit() else cell


def made(config: Config, table: str) -> Path:
    """The folder of the first day."""
    store = open_store(config)
    manifest = store.manifest(table, FIRST)
    assert manifest is not None
    return store.folder(manifest)


def test_ingest_makes_the_rows_of_delimited_logs(delimited: Config, lines: Config) -> None:
    told = []
    for config in (delimited, lines):
        done = run("jobs", "step", "ingest", "--config", config.path, "--day", FIRST)
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        table = pq.read_table(Path(config.store_root) / outcome["path"] / "rows.parquet")
        told.append((outcome["rows"], outcome["details"]["rejects"], table.drop_columns(["row_id", "file"])))
    assert told[0] == told[1]
    assert told[0][1] > 0


def test_every_request_is_scored_and_alike_by_hand(lines: Config, tmp_path: Path) -> None:
    steps = [name for name in UNPUBLISHED if name != "report"]
    assert set(build(lines, [FIRST], steps)) == {"done"}
    bundle, scores = made(lines, "bundles"), made(lines, "scores")
    targets = Targets(tmp_path / "rows.parquet", tmp_path / "rejects.parquet")
    raw = RawLines(lines.source, lines.fields, lines.path.parent)
    report = ingest_requests(raw, lines.engine, plus(FIRST, 1), targets)
    assert report.rows + report.rejects == 300
    command(bundle, targets.rows, tmp_path / "scores.parquet", columns="row_id,file,line")
    by_hand, by_step = pq.read_table(tmp_path / "scores.parquet"), pq.read_table(scores / "scores.parquet")
    assert by_hand.num_rows == report.rows
    assert by_hand.select(by_step.column_names) == by_step
