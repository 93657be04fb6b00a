"""Latency of `pnn-gluon serve` at a steady rate of requests, for several numbers of rows a request.

    python -m benchmarks.serving --rows 1,10,100 --rate 200 --seconds 60

The server is a process of its own with the bundle of `benchmarks.scored_bundle`. Requests go out at their moments
whether or not earlier ones were answered (an open loop), and a latency counts from that moment: a server that falls
behind is seen as such. Connections are kept. Beside p50 and p99 it says the processor time that the server takes for a
request, which other work on the machine changes less. Ends with one JSON line.
"""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow.parquet as pq
import typer

from benchmarks.scored_bundle import make_bundle

BODIES = 200
CONNECTIONS = 64


def main(
    model: Annotated[str, typer.Option(help="A network.")] = "ipnn",
    rows: Annotated[str, typer.Option(help="Rows of a request, one number after the other.")] = "1,10,100",
    rate: Annotated[float, typer.Option(help="Requests a second.", min=0.1)] = 200.0,
    seconds: Annotated[float, typer.Option(help="For each number of rows.", min=1)] = 60.0,
    ids: Annotated[int, typer.Option(help="Rows of the id tables.", min=1000)] = 1_000_000,
    fields: Annotated[int, typer.Option(min=2)] = 39,
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "700,700,700,700,700",
    work: Annotated[Path, typer.Option(help="Folder for the bundle.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    asked = {"model": model, "rows": 4096, "table_rows": 200_000, "ids": ids, "fields": fields}
    asked |= {"embedding_size": embedding_size, "hidden": [int(width) for width in hidden.split(",") if width]}
    folder = Path(make_bundle(work / "serving", asked)["folder"])
    found = {}
    with _serving(folder / "bundle") as (process, address):
        memory = process.memory_info().rss
        for count in map(int, rows.split(",")):
            bodies = _bodies(folder / "table.parquet", count)
            _open_loop(address, bodies, rate, 2.0)
            before = _processor_seconds(process)
            latencies, errors = _open_loop(address, bodies, rate, seconds)
            used = _processor_seconds(process) - before
            found[str(count)] = {
                "requests": len(latencies) + errors,
                "errors": errors,
                "p50_ms": round(float(np.percentile(latencies, 50)) * 1e3, 2),
                "p99_ms": round(float(np.percentile(latencies, 99)) * 1e3, 2),
                "server_processor_ms": round(1e3 * used / (len(latencies) + errors), 2),
            }
            print(f"{count} rows a request: {found[str(count)]}", flush=True)
    told = {"rate": rate, "seconds": seconds, "load_average": round(os.getloadavg()[0], 1), "server_mb": memory >> 20}
    print(json.dumps({**told, "rows": found}))


@contextmanager
def _serving(bundle: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The server's process and address, until the end of the block."""
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "serve", str(bundle), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield psutil.Process(process.pid), json.loads(process.stdout.readline())["address"]
    finally:
        process.terminate()
        process.wait()


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _bodies(table: Path, rows: int) -> list[bytes]:
    """Bodies of requests with different rows."""
    raw = pq.read_table(table).drop_columns(["row_id"])
    starts = [place * rows % (len(raw) - rows) for place in range(BODIES)]
    return [json.dumps({"rows": raw.slice(start, rows).to_pylist()}).encode() for start in starts]


def _open_loop(address: str, bodies: list[bytes], rate: float, seconds: float) -> tuple[list[float], int]:
    """Seconds from the moment that each request was due to its answer, and how many had none."""
    due: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
    latencies: list[float] = []
    errors: list[Any] = []
    threads = [threading.Thread(target=_ask, args=(address, due, latencies, errors)) for _ in range(CONNECTIONS)]
    for each in threads:
        each.start()
    started = time.perf_counter()
    for number in range(round(rate * seconds)):
        moment = started + number / rate
        time.sleep(max(0.0, moment - time.perf_counter()))
        due.put((moment, bodies[number % len(bodies)]))
    for _ in threads:
        due.put(None)
    for each in threads:
        each.join()
    return latencies, len(errors)


def _ask(address: str, due: Any, latencies: list[float], errors: list[Any]) -> None:
    """One connection: takes the next request that is due, until there are no more."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    while (request := due.get()) is not None:
        moment, body = request
        try:
            connection.request("POST", "/score", body)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            errors.append(error)
            connection.close()
            continue
        if answer.status == 200:
            latencies.append(time.perf_counter() - moment)
        else:
            errors.append(content)
    connection.close()


if __name__ == "__main__":
    typer.run(main)
