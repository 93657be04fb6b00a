"""Debian's Chromium without a window, by its debugging protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE = 60.0


class Tab:
    """One page and the frames in it."""

    def __init__(self, socket: ClientConnection, heard: Callable[[dict[str, Any]], object]) -> None:
        self._socket, self._heard, self._numbers = socket, heard, itertools.count(1)

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._heard(answer)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, or of a promise of one."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, patience: float = PATIENCE) -> Any:
        """The value of an expression once it is true; errors while a page is loaded do not count."""
        deadline = time.monotonic() + patience
        while True:
            answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
            if answer["result"].get("value") and "exceptionDetails" not in answer:
                return answer["result"]["value"]
            if time.monotonic() > deadline:
                raise AssertionError(f"{script}: {answer}; the page: {self.run('document.body.innerText')[:2000]}")
            time.sleep(0.3)

    def put(self, where: str, text: str) -> None:
        """Write a text in place of what a field of a form holds; the field by its CSS selector."""
        self.run(f"(each => {{each.focus(); each.select();}})(document.querySelector('{where}'))")
        self.call("Input.insertText", text=text)

    def log_in(self, address: str, user: str, password: str) -> None:
        """Log in to Airflow."""
        self.open(address)
        self.wait_for("!!document.querySelector('input[name=username]')")
        self.put("input[name=username]", user)
        self.put("input[name=password]", password)
        for kind in ("rawKeyDown", "char", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
            )
        self.wait_for("!document.querySelector('input[name=username]') && !location.pathname.includes('login')")

    def picture(self, name: str) -> None:
        """Keep what is seen as <name>.png where PNN_GLUON_PICTURES says; without it nowhere."""
        content = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        if folder := os.environ.get("PNN_GLUON_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(content)


def found() -> bool:
    """Whether there is a Chromium on this machine."""
    return shutil.which("chromium") is not None


@contextmanager
def tab(heard: Callable[[dict[str, Any]], object] = lambda event: None) -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with the block; `heard` gets its events while it is waited for."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server")
        command = ["chromium", *options, "--window-size=1400,900", "--remote-debugging-port=0"]
        browser = subprocess.Popen(
            [*command, f"--user-data-dir={folder}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with connect(_address(Path(folder)), max_size=None, proxy=None) as socket:
                yield Tab(socket, heard)
        finally:
            browser.terminate()
            browser.wait(timeout=20)


def _address(folder: Path) -> str:
    """Where the first tab listens, once the browser is there."""
    deadline = time.monotonic() + PATIENCE
    while not (found := _written(folder / "DevToolsActivePort")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    port = found[0]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
        pages = [each for each in json.load(answer) if each["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])


def _written(path: Path) -> list[str]:
    """The lines of a file, none while it is not there or not written yet."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
