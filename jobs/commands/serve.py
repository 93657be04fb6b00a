"""A scorer for lookups of one: small batches of raw rows over HTTP, by a bundle or by a pipeline's champion."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.stopping import Stopped
from pnn_gluon.config import Config, load_config
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.bundles import bundle_folder
from pnn_gluon.pipeline.details import Pointer
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.tables import CHAMPIONS
from pnn_gluon.ports import HOST, is_free
from pnn_gluon.secrets_masking import masked

if TYPE_CHECKING:
    from jobs.request_server import RequestServer
    from pnn_gluon.serving.live_model import LiveModel

log = logging.getLogger(__name__)

OptionalConfig = Annotated[
    Path | None, typer.Option("--config", help="Instead of a bundle: a pipeline, whose champion is followed.")
]

AGAIN = 60.0
"""Seconds until a bundle that could not be loaded is tried again; it may be copied anew."""


def command(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder; or else --config.")] = None,
    config: OptionalConfig = None,
    host: Annotated[str, typer.Option(help="Address to listen on; there is no password.")] = HOST,
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8090,
    look_every: Annotated[float, typer.Option(help="Seconds between looks for a new champion.", min=0.1)] = 5.0,
    max_rows: Annotated[int, typer.Option(help="Of a request.", min=1, max=100_000)] = 1000,
    max_bytes: Annotated[int, typer.Option(help="Of the body of a request.", min=1)] = 4 * 2**20,
    timeout: Annotated[float, typer.Option(help="Seconds for a request to come, and to be answered.", min=0.1)] = 10.0,
) -> None:
    """Answer POST /score, GET /health and GET /metrics until SIGTERM or Ctrl-C; one JSON line when it listens."""
    from jobs.request_server import Limits, RequestServer
    from pnn_gluon.serving.live_model import LiveModel

    if not is_free(port, host):
        raise ConfigError(f"--host {host} --port {port}: cannot listen there; is the port taken?")
    limits, done = Limits(max_rows, max_bytes, timeout), threading.Event()
    if config is None and bundle is not None:
        server = RequestServer((host, port), LiveModel.load(bundle), limits)
    elif config is not None and bundle is None:
        champions = Champions(load_config(config))
        pointer = champions.newest()
        server = RequestServer((host, port), champions.load(pointer), limits)
        followed = (server, champions, pointer, look_every, done)
        threading.Thread(target=follow, args=followed, name="follower", daemon=True).start()
    else:
        raise ConfigError("name a bundle's folder, or --config with a pipeline whose champion is to be followed")
    _serve(server, done)


def _serve(server: "RequestServer", done: threading.Event) -> None:
    """Answer requests until somebody stops this process."""
    threading.Thread(target=server.serve_forever, args=(0.1,), name="listener", daemon=True).start()
    try:
        host, port = server.server_address[:2]
        told = {"address": f"http://{host!s}:{port}", "model": server.in_force.model.described}
        print(json.dumps(told), flush=True)
        done.wait()
    except Stopped:
        log.info("stopped; requests that had come are answered")
    finally:
        done.set()
        server.end()


class Champions:
    """The models that a pipeline puts in force."""

    def __init__(self, config: Config) -> None:
        self._store = open_store(config)

    def newest(self) -> Pointer:
        """The bundle in force on the newest day that has one.

        Raises:
            InputError: there is none yet, or the day's manifest is damaged.
        """
        for day in reversed(self._store.days(CHAMPIONS.name)):
            partition = open_partition(self._store, CHAMPIONS, day)
            if partition is not None and partition.details.pointer.run is not None:
                return partition.details.pointer
        raise InputError(f"{self._store.root}: no model was put in force yet; run a day first: pnn-gluon run --day ...")

    def load(self, pointer: Pointer) -> "LiveModel":
        """The model of a bundle, ready to answer.

        Raises:
            InputError: it is not there, or damaged.
        """
        from pnn_gluon.serving.live_model import LiveModel

        folder = bundle_folder(self._store, pointer)
        if folder is None:
            raise InputError(f"{self._store.root}: the champion names no bundle")
        return LiveModel.load(folder)


def follow(
    server: "RequestServer", champions: Champions, serving: Pointer, look_every: float, done: threading.Event
) -> None:
    """Put each new champion in force until `done`; one that cannot be loaded is told, and tried again later.

    Args:
        server: Where it is put in force.
        champions: What is followed.
        serving: The one that serves at first.
        look_every: Seconds between looks.
        done: Ends this.
    """
    refused, again = None, 0.0
    while not done.wait(look_every):
        try:
            newest = champions.newest()
            if newest == serving:
                server.fault = refused = None
            elif newest != refused or time.monotonic() > again:
                refused, again = newest, time.monotonic() + AGAIN
                server.swap(champions.load(newest))
                log.info("model of %s, made on %s, is in force", newest.model_day, newest.day)
                serving, refused = newest, None
        except OSError as error:
            server.failed(masked(explained(error)))
        except Exception as error:  # whatever is wrong with a new bundle, the old one serves on
            server.failed(masked(f"{error}" or type(error).__name__))
