"""A table of raw rows in, their logits and calibrated probabilities out: any Parquet file through any bundle."""

import json
import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from jobs.raw_table import check_columns, described
from pnn_gluon.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pnn_gluon.config import EngineConfig
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.training.options import PrecisionName

_log = logging.getLogger(__name__)

SCORES = ("logit", "probability")


def command(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    table: Annotated[Path, typer.Argument(help="Parquet, with a column for each field of the bundle.")],
    output: Annotated[Path, typer.Argument(help="The Parquet file to write.")],
    columns: Annotated[str, typer.Option(help="Columns to carry along, such as row_id,label.")] = "",
    memory_limit: Annotated[str, typer.Option(help="Of the SQL engine that reads the table, in MB or GB.")] = "1GB",
    threads: Annotated[int, typer.Option(help="Of the SQL engine; default: all processors.", min=0)] = 0,
    precision: Annotated[str, typer.Option(help="Of dense layers: auto, f32, x3 or bf16.")] = "auto",
    engine: Annotated[str, typer.Option(help="native, plain, onnxruntime, or fastest: timed first.")] = "native",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Score a table in its order: the columns carried along, then logit and probability; one JSON line on stdout."""
    from pnn_gluon.runtime import available_processors

    carried = _carried(columns)
    reader = _reader(memory_limit, threads or available_processors())
    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; give another name, or --overwrite to replace it")
    rows, types = described(table)
    loaded, timed = _loaded(bundle, engine, _precision(precision))
    check_columns(table, types, loaded.feature_map, carried, "let --columns name some of the table")
    started = time.monotonic()
    _score(loaded, reader, table, output, carried, rows)
    seconds = time.monotonic() - started
    figures = {"rows": rows, "seconds": round(seconds, 3), "rows_per_second": round(rows / seconds)}
    print(json.dumps({"output": str(output), **figures, **timed, "made_by": loaded.last_bits}), flush=True)


def _carried(columns: str) -> tuple[str, ...]:
    """Names of the columns to carry along."""
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    if len({*names, *SCORES}) < len(names) + len(SCORES):
        raise ConfigError(f"--columns {columns}: expected each column once, and none named {' or '.join(SCORES)}")
    return names


def _precision(name: str) -> "PrecisionName":
    from pnn_gluon.training.options import PrecisionName

    if name not in get_args(PrecisionName):
        raise ConfigError(f"--precision {name}: expected one of {', '.join(get_args(PrecisionName))}")
    return cast("PrecisionName", name)


def _loaded(folder: Path, engine: str, precision: "PrecisionName") -> tuple["Bundle", dict[str, Any]]:
    """The bundle with its engine; and what was measured where that was chosen by it."""
    from pnn_gluon.portable.engines import FASTEST, engine_named, fastest_bundle
    from pnn_gluon.serving.bundle import Bundle

    if engine != FASTEST:
        return Bundle.load(folder, engine_named(engine, precision)), {"engine": engine}
    name, bundle, rates = fastest_bundle(folder, precision)
    _log.info("%s: %s", name, ", ".join(f"{each} {rate:,} rows/s" for each, rate in rates.items()))
    return bundle, {"engine": name, "engine_rows_per_second": rates}


def _reader(memory_limit: str, threads: int) -> "EngineConfig":
    from pydantic import ValidationError

    from pnn_gluon.config import EngineConfig

    try:
        return EngineConfig(memory_limit=memory_limit, threads=threads)
    except ValidationError as error:
        raise ConfigError(
            f"--memory-limit {memory_limit} --threads {threads}: expected a memory such as 500MB or 4GB, "
            "and at most 256 threads"
        ) from error


def _score(
    bundle: "Bundle", engine: "EngineConfig", table: Path, output: Path, carried: tuple[str, ...], rows: int
) -> None:
    import duckdb
    import pyarrow as pa

    from jobs.terminal import row_progress
    from pnn_gluon.atomic import written_atomically
    from pnn_gluon.serving.scoring import write_scores

    try:
        schema = _schema(engine, table, carried)
        with written_atomically(output) as unfinished, row_progress() as progress:
            task = progress.add_task("score", total=rows)
            write_scores(bundle, engine, table, unfinished, carried, schema, on_rows=partial(progress.advance, task))
    except (duckdb.Error, pa.ArrowException) as error:
        raise InputError(
            f"{table}: cannot be scored: {error}; is the file whole, and --memory-limit enough?"
        ) from error


def _schema(engine: "EngineConfig", table: Path, carried: tuple[str, ...]) -> Any:
    """What is written: the carried columns as the SQL engine gives them, and the scores."""
    import pyarrow as pa

    from pnn_gluon.warehouse.duckdb_engine import connect, identifier, parquet

    chosen = ", ".join([*(identifier(name) for name in carried), *(f"0.0::double as {name}" for name in SCORES)])
    query = f"select {chosen} from {parquet(table)} limit 0"
    with connect(engine) as connection:
        return pa.schema(list(connection.sql(query).to_arrow_reader().schema))
