"""The HTTP server of `pnn-gluon serve`: requests of a few rows, health, metrics."""

import contextlib
import datetime
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, NoReturn

from pnn_gluon.serving.live_model import LiveModel
from pnn_gluon.serving.request_rows import RowError, request_columns
from pnn_gluon.serving.service_metrics import ServiceMetrics
from pnn_gluon.serving.turns import Turns

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 1.0
_DRAIN_BYTES = 2**26

PATHS = {"/score": "POST", "/health": "GET", "/metrics": "GET"}


class Limits(NamedTuple):
    """Of one request, and of connections at a time."""

    rows: int = 1000
    body_bytes: int = 4 * 2**20
    seconds: float = 10.0
    connections: int = 256


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, kind: str, message: str, **where: Any) -> None:
        super().__init__(message)
        self.status, self.kind, self.where = status, kind, where


class InForce(NamedTuple):
    """The model that serves, and since when (Unix time)."""

    model: LiveModel
    since: float


class RequestServer(ThreadingHTTPServer):
    """Answers by the model in force; a thread a connection, one thread that scores.

    `swap` puts another model in its place: a request that came before is answered by the one it met.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model: LiveModel, limits: Limits) -> None:
        self.in_force, self.limits = InForce(model, time.time()), limits
        self.fault: str | None = None
        self.metrics, self.turns, self.closing = ServiceMetrics(), Turns(), False
        self._places = threading.BoundedSemaphore(limits.connections)
        self._busy, self._idle = 0, threading.Condition()
        super().__init__(address, _Handler)

    def swap(self, model: LiveModel) -> None:
        """From now on this model answers."""
        self.in_force, self.fault = InForce(model, time.time()), None
        self.metrics.swapped(True)

    def failed(self, fault: str) -> None:
        """Tell that a new model could not be put in force; the old one serves on."""
        if fault != self.fault:
            log.error("the new model cannot serve, the old one goes on: %s", fault)
        self.fault = fault
        self.metrics.swapped(False)

    @property
    def in_flight(self) -> int:
        """Requests being answered."""
        return self._busy

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While a request is answered."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def end(self) -> None:
        """Take no more connections, answer what came, and close."""
        self.closing = True
        self.shutdown()
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, self.limits.seconds)
        self.server_close()
        self.turns.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, unless there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        self.metrics.failed("connections")
        with contextlib.suppress(OSError):
            request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def server_close(self) -> None:
        """Close the listening socket; idle connections end with the process."""
        self.socket.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no fault of ours; anything else is logged, and the next request goes on."""
        if isinstance(sys.exception(), OSError):
            self.metrics.failed("disconnected")
        else:
            self.metrics.failed("internal")
            log.exception("a request failed")


class _Handler(BaseHTTPRequestHandler):
    server: RequestServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pnn-gluon", ""
    disable_nagle_algorithm = True
    wbufsize = -1
    _unread = False

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.seconds)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        started, self._unread = time.perf_counter(), method == "POST"
        with self.server.answering():
            try:
                self._route(method, started)
            except _Refused as refused:
                self._refuse(refused)
            except TimeoutError:
                self._refuse(_Refused(HTTPStatus.REQUEST_TIMEOUT, "timeout", "the request did not come in time"))
            except OSError:
                raise
            except Exception:
                log.exception("a request failed")
                self._refuse(_Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the scorer failed; see its log"))
            self.wfile.flush()

    def _route(self, method: str, started: float) -> None:
        path = self.path.partition("?")[0]
        if path not in PATHS:
            _refuse(HTTPStatus.NOT_FOUND, "path", f"expected one of {', '.join(PATHS)}")
        if PATHS[path] != method:
            _refuse(HTTPStatus.METHOD_NOT_ALLOWED, "method", f"expected {PATHS[path]}")
        if path == "/score":
            self._score(started)
        elif path == "/health":
            self._send(HTTPStatus.OK, json.dumps(self._health()))
        else:
            model, since = self.server.in_force
            told = self.server.metrics.text(model.described, since, self.server.in_flight)
            self._send(HTTPStatus.OK, told, "text/plain; version=0.0.4; charset=utf-8")

    def _health(self) -> dict[str, Any]:
        model, since = self.server.in_force
        moment = datetime.datetime.fromtimestamp(since, datetime.UTC).isoformat(timespec="seconds")
        state = {"status": "ok" if self.server.fault is None else "stale", "error": self.server.fault}
        age = {"since": moment, "age_seconds": round(time.time() - since, 1), "batch_rows": model.sizes[0]}
        return {**state, "model": model.described, **age}

    def _score(self, started: float) -> None:
        model = self.server.in_force.model
        rows = self._rows()
        try:
            columns = request_columns(model.bundle.feature_map, rows)
        except RowError as error:
            where = {"row": error.row, "field": error.field}
            _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "row", str(error), **where)
        found = self._probabilities(model, columns) if rows else []
        self._send(HTTPStatus.OK, json.dumps({"probabilities": found, "model": model.described}))
        self.server.metrics.scored(len(rows), time.perf_counter() - started)

    def _probabilities(self, model: LiveModel, columns: list[list[Any]]) -> list[float]:
        answer = self.server.turns.submit(model, columns)
        try:
            found: list[float] = answer.result(self.server.limits.seconds).tolist()
        except (TimeoutError, CancelledError):
            answer.cancel()
            _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "overload", "no answer in time: too many requests")
        return found

    def _rows(self) -> list[Any]:
        """The rows of the body, which need not be right one by one."""
        try:
            asked = json.loads(self._body(), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            _refuse(HTTPStatus.BAD_REQUEST, "json", f"expected JSON: {type(error).__name__}: {str(error)[:200]}")
        if not isinstance(asked, dict) or asked.keys() != {"rows"} or not isinstance(asked["rows"], list):
            _refuse(HTTPStatus.BAD_REQUEST, "json", 'expected {"rows": [{"field": value, ...}, ...]}')
        rows: list[Any] = asked["rows"]
        if len(rows) > self.server.limits.rows:
            message = f"{len(rows):,} rows, expected at most {self.server.limits.rows:,}"
            _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size", message)
        return rows

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or self.headers.get("Transfer-Encoding"):
            _refuse(HTTPStatus.LENGTH_REQUIRED, "length", "expected a Content-Length")
        most = self.server.limits.body_bytes
        if len(length) > 18 or int(length) > most:
            message = f"a body of {length[:20]} bytes, expected at most {most:,}"
            _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size", message)
        body = self.rfile.read(int(length))
        self._unread = False
        if len(body) < int(length):
            _refuse(HTTPStatus.BAD_REQUEST, "length", f"{len(body):,} bytes came, expected {length}")
        return body

    def _refuse(self, refused: _Refused) -> None:
        """Answer an error; the connection ends where the body was not read."""
        self.close_connection = self.close_connection or self._unread
        self.server.metrics.failed(refused.kind)
        self._send(refused.status, json.dumps({"error": str(refused), **refused.where}))
        if self._unread:
            self._drain()

    def _drain(self) -> None:
        """Read on for a moment: a connection closed before is reset, and its client may not see the answer."""
        self.wfile.flush()
        self.connection.settimeout(_DRAIN_SECONDS)
        until, left = time.monotonic() + _DRAIN_SECONDS, _DRAIN_BYTES
        with contextlib.suppress(OSError):
            while left > 0 and time.monotonic() < until and (part := self.rfile.read1(2**16)):
                left -= len(part)

    def handle_expect_100(self) -> bool:
        """Say at once that the body may come."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _send(self, status: HTTPStatus, text: str, kind: str = "application/json") -> None:
        body = text.encode()
        path = self.path.partition("?")[0] if hasattr(self, "path") else ""
        self.server.metrics.answered(path if path in PATHS else "other", status)
        self.close_connection = self.close_connection or self.server.closing
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the protocol itself refuses, as JSON."""
        status, self._unread = HTTPStatus(code), False
        self.close_connection = True
        self._refuse(_Refused(status, "protocol", message or status.phrase))

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not logged."""


def _refuse(status: HTTPStatus, kind: str, message: str, **where: Any) -> NoReturn:
    raise _Refused(status, kind, message, **where)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON; null is a missing one")
