"""An S3 server of its own process on 127.0.0.1, and what it was asked."""

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import unquote
from urllib.request import urlopen

import boto3

from pnn_gluon.ports import HOST

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}

SERVER = """
import os, sys, threading
from moto.server import main

def end_with_the_test():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_the_test, daemon=True).start()
main(sys.argv[1:])
"""
"""Ends when its standard input does, so that it does not outlive a test that was killed."""

_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1" (?P<status>\d+)')


class Request(NamedTuple):
    """A request that the server has answered: `key` is bucket and key, `query` what stands behind them."""

    method: str
    key: str
    query: str
    status: int


class ObjectServer:
    """A server that runs, with a bucket for each who asks for one."""

    def __init__(self, port: int, log: Path) -> None:
        self.place, self._log = f"{HOST}:{port}", log
        os.environ.update(CREDENTIALS)
        self.client: Any = boto3.client("s3", endpoint_url=f"http://{self.place}", region_name="us-east-1")

    def new_bucket(self) -> str:
        bucket = f"b{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=bucket)
        return bucket

    def url(self, bucket: str, path: str = "store") -> str:
        return f"s3://{bucket}/{path}?endpoint_override={self.place}&scheme=http"

    def keys(self, bucket: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def asked(self, since: int = 0) -> list[Request]:
        """What was asked after so many requests."""
        found = [match for line in self._log.read_text().splitlines() if (match := _LINE.search(line))]
        split = [(match["method"], *match["path"].partition("?")[::2], int(match["status"])) for match in found]
        return [Request(method, unquote(path)[1:], query, status) for method, path, query, status in split][since:]


@contextmanager
def serving(folder: Path) -> Iterator[ObjectServer]:
    """A server while the block lasts."""
    port, log = _free_port(), folder / "requests.log"
    command = [sys.executable, "-c", SERVER, "-H", HOST, "-p", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out) as process:
        try:
            _wait(port, process)
            yield ObjectServer(port, log)
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(f"http://{HOST}:{port}/moto-api/data.json").close()
        except URLError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the object server does not answer")
