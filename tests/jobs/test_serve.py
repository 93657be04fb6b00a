"""Rows over HTTP: the bits of `score-table`, errors that name row and field, swaps without a dropped request."""

import http.client
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.score_table import command as score_table
from jobs.commands.serve import follow
from jobs.request_server import Limits, RequestServer
from pnn_gluon.errors import InputError
from pnn_gluon.ops import plain_operators
from pnn_gluon.pipeline.details import Pointer
from pnn_gluon.serving.live_model import FEW_ROWS, LiveModel
from pnn_gluon.training.export import SCORING_ROWS
from tests.explaining.small_bundles import make_bundle as make_small_bundle
from tests.portable.raw_bundles import make_bundle

OPTIONS = {"embedding_size": 4, "hidden": (16, 8)}
ROWS = 60
LIMITS = Limits(rows=ROWS, body_bytes=20_000, seconds=2.0, connections=16)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("serve") / "bundle", "ipnn", **OPTIONS)


@pytest.fixture(scope="module")
def model(bundle: Path) -> LiveModel:
    return LiveModel.load(bundle)


@pytest.fixture
def server(model: LiveModel) -> Iterator[RequestServer]:
    with serving(model) as found:
        yield found


@contextmanager
def serving(model: LiveModel, limits: Limits = LIMITS) -> Iterator[RequestServer]:
    server = RequestServer(("127.0.0.1", 0), model, limits)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.end()


def raw_rows(count: int = ROWS, seed: int = 5) -> list[dict[str, Any]]:
    """Values that are known, new, missing, odd; integers where text is expected."""
    random = np.random.default_rng(seed)
    sites = [None, "", "ü ", "s1", "s2", "s8", "new"]
    return [
        {
            "site": sites[random.integers(len(sites))],
            "tags": random.choice([None, "", " t1 |t2", "t9|t8|t1|t1", "t1|t2|t3|t4"]),
            "price": None if random.random() < 0.2 else float(random.normal(0, 2)),
            "age": int(random.integers(-3, 10**6)),
            "dots": random.choice(["1.2", "3", "x.1", "."]),
            "hour": int(random.integers(0, 26)),
        }
        for _ in range(count)
    ]


def asked(server: RequestServer, body: Any, method: str = "POST", path: str = "/score") -> tuple[int, Any]:
    """Status and content of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    text = body if isinstance(body, bytes | None) else json.dumps(body)
    connection.request(method, path, text)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content.startswith(b"{") else content.decode()


def table_scores(bundle: Path, rows: list[dict[str, Any]], folder: Path) -> list[float]:
    """What `score-table` gives for the rows."""
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    score_table(bundle, folder / "rows.parquet", folder / "scores.parquet", overwrite=True)
    scores: list[float] = pq.read_table(folder / "scores.parquet")["probability"].to_pylist()
    return scores


def test_probabilities_are_the_bits_of_score_table_whatever_rows_come_together(
    bundle: Path, server: RequestServer, tmp_path: Path
) -> None:
    rows = raw_rows()
    expected = table_scores(bundle, rows, tmp_path)
    assert len(set(expected)) > ROWS // 2
    for start, end in [(0, ROWS), (0, 1), (7, 8), (3, 20), (20, 59)]:
        status, answer = asked(server, {"rows": rows[start:end]})
        assert (status, answer["model"]) == (200, {"name": "ipnn", "day": "2026-11-01"})
        assert answer["probabilities"] == expected[start:end]


def test_requests_at_once_have_each_their_own_answer(
    bundle: Path, model: LiveModel, server: RequestServer, tmp_path: Path
) -> None:
    rows = raw_rows()
    expected = table_scores(bundle, rows, tmp_path)
    found: dict[int, Any] = {}

    def ask(start: int) -> None:
        found[start] = asked(server, {"rows": rows[start : start + 7]})[1]["probabilities"]

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {start: expected[start : start + 7] for start in range(12)}


def test_a_field_that_is_not_named_is_missing_and_no_rows_have_no_probabilities(server: RequestServer) -> None:
    named = dict.fromkeys(("site", "tags", "price", "age", "dots", "hour"))
    assert asked(server, {"rows": [{}]}) == asked(server, {"rows": [named]})
    assert asked(server, {"rows": []})[1]["probabilities"] == []


def test_trees_give_their_bits_too(tmp_path: Path) -> None:
    trees = make_small_bundle(tmp_path / "bundle", "gbdt")
    rows = [{"site": f"s{h % 5}", "tags": "t1|t2", "hour": str(h)} for h in range(9)]
    expected = table_scores(trees, rows, tmp_path)
    with serving(LiveModel.load(trees)) as server:
        assert asked(server, {"rows": rows[4:]})[1]["probabilities"] == expected[4:]


def test_plain_operators_give_their_bits_too(tmp_path: Path) -> None:
    folder, rows = make_bundle(tmp_path / "bundle", "ipnn", embedding_size=9, hidden=(64, 48)), raw_rows(9)
    with plain_operators():
        model, expected = LiveModel.load(folder), table_scores(folder, rows, tmp_path)
    with serving(model) as server:
        assert asked(server, {"rows": rows[4:]})[1]["probabilities"] == expected[4:]


def test_where_few_rows_give_other_bits_whole_batches_are_computed(model: LiveModel) -> None:
    class Scorer:
        def __init__(self) -> None:
            self.asked: list[int | None] = []

        def logits(self, ids: Any, batch_rows: int | None = None) -> Any:
            self.asked.append(batch_rows)
            return np.full(len(ids), 1e-7 if batch_rows == FEW_ROWS[1] else 0, np.float32)

    bundle = type(model.bundle)(model.bundle.card, model.bundle.feature_map, Scorer(), model.bundle.calibrator)
    other = LiveModel(bundle)
    assert other.sizes == (SCORING_ROWS,)
    assert bundle.scorer.asked[-1] == SCORING_ROWS


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"rows": [{}, {"price": "5"}]}, 422, "row 1, field price: expected a number, received '5'"),
        ({"rows": [{"price": True}]}, 422, "row 0, field price: expected a number, received True"),
        ({"rows": [{"price": 10**400}]}, 422, "row 0, field price: expected a number, received 1000"),
        ({"rows": [{"site": 0.5}]}, 422, "row 0, field site: expected text or an integer, received 0.5"),
        ({"rows": [{"tags": ["a"]}]}, 422, "row 0, field tags: expected text with separators, received a list"),
        (b'{"rows": [{"site": "\\ud800"}]}', 422, "row 0, field site: expected text or an integer"),
        ({"rows": [{"sight": "a"}]}, 422, "row 0, field sight: the model has no such field; it has site, tags"),
        ({"rows": [1]}, 422, "row 0: expected an object"),
        ({"rows": {}}, 400, 'expected {"rows"'),
        ([], 400, 'expected {"rows"'),
        (b'{"rows": [{"price": NaN}]}', 400, "NaN is no number of JSON"),
        (b"\xff", 400, "expected JSON"),
        (b"[" * 10_000, 400, "expected JSON"),
        ({"rows": [{}] * (ROWS + 1)}, 413, "61 rows, expected at most 60"),
        (b"x" * 20_001, 413, "a body of 20001 bytes, expected at most 20,000"),
    ],
)
def test_what_cannot_be_scored_is_told(server: RequestServer, body: Any, status: int, said: str) -> None:
    found, answer = asked(server, body)
    assert (found, said in answer["error"]) == (status, True), answer
    assert "Traceback" not in answer["error"]
    assert asked(server, {"rows": [{}]})[0] == 200


def test_a_refused_row_is_named_for_programs(server: RequestServer) -> None:
    _, answer = asked(server, {"rows": [{}, {}, {"hour": 1.5}]})
    assert (answer["row"], answer["field"]) == (2, "hour")


def test_other_paths_and_methods_are_refused(server: RequestServer) -> None:
    assert asked(server, None, "GET", "/")[0] == 404
    assert asked(server, None, "GET", "/score")[0] == 405
    assert asked(server, b"{}", "POST", "/health")[0] == 405
    assert asked(server, None, "DELETE", "/score")[0] == 501


def test_a_request_that_does_not_come_whole_is_given_up(model: LiveModel) -> None:
    with serving(model, LIMITS._replace(seconds=0.2)) as server:
        with socket.create_connection(server.server_address[:2], timeout=10) as slow:
            slow.sendall(b"POST /score HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        assert asked(server, {"rows": [{}]})[0] == 200


def test_one_connection_too_many_is_told_to_come_later(model: LiveModel) -> None:
    with serving(model, LIMITS._replace(connections=1)) as server:
        address = server.server_address[:2]
        with socket.create_connection(address) as first, socket.create_connection(address, timeout=10) as second:
            first.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            assert first.recv(12) == b"HTTP/1.1 200"
            assert second.recv(1000).startswith(b"HTTP/1.1 503")


def test_health_and_metrics_tell_of_model_requests_and_errors(server: RequestServer) -> None:
    asked(server, {"rows": raw_rows(3)})
    asked(server, {"rows": [{"hour": 1.5}]})
    status, health = asked(server, None, "GET", "/health")
    assert (status, health["status"], health["model"]) == (200, "ok", {"name": "ipnn", "day": "2026-11-01"})
    _, text = asked(server, None, "GET", "/metrics")
    lines = set(text.splitlines())
    assert {
        'pnn_gluon_serve_requests_total{path="/score",status="200"} 1',
        'pnn_gluon_serve_requests_total{path="/score",status="422"} 1',
        'pnn_gluon_serve_errors_total{kind="row"} 1',
        "pnn_gluon_serve_rows_total 3",
        "pnn_gluon_serve_latency_seconds_count 1",
        'pnn_gluon_serve_latency_seconds_bucket{le="+Inf"} 1',
        'pnn_gluon_serve_model_info{name="ipnn",day="2026-11-01"} 1',
        "pnn_gluon_serve_swaps_total 0",
    } <= lines


def test_a_scorer_that_fails_is_a_500_without_its_traceback(
    model: LiveModel, server: RequestServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(columns: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(model, "probability", broken)
    assert asked(server, {"rows": [{}]}) == (500, {"error": "the scorer failed; see its log"})
    assert "secret" in caplog.text
    monkeypatch.undo()
    assert asked(server, {"rows": [{}]})[0] == 200


class Champions:
    """The champion of the moment, and the folder that each is loaded from."""

    def __init__(self, folders: dict[Pointer, Path], now: Pointer) -> None:
        self.folders, self.now, self.loads = folders, now, 0

    def newest(self) -> Pointer:
        return self.now

    def load(self, pointer: Pointer) -> LiveModel:
        self.loads += 1
        return LiveModel.load(self.folders[pointer])


def pointer(day: str) -> Pointer:
    return Pointer(table="bundles", day=day, run="r1", model_day=day, map_day=day)


@contextmanager
def followed(server: RequestServer, champions: Any) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=follow, args=(server, champions, champions.now, 0.02, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_swap_drops_no_request_and_each_answer_is_of_one_model(
    bundle: Path, server: RequestServer, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other", "fnn", **OPTIONS)
    rows = raw_rows()
    expected = {"ipnn": table_scores(bundle, rows, tmp_path), "fnn": table_scores(other, rows, tmp_path)}
    first, second = pointer("2026-11-01"), pointer("2026-11-02")
    champions, stop = Champions({first: bundle, second: other}, first), threading.Event()
    seen: list[str] = []
    wrong: list[Any] = []

    def ask() -> None:
        while not stop.is_set():
            status, answer = asked(server, {"rows": rows})
            name = answer.get("model", {}).get("name")
            seen.append(name)
            if status != 200 or answer["probabilities"] != expected[name]:
                wrong.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    with followed(server, champions):
        for each in threads:
            each.start()
        for turn in (second, first, second):
            champions.now = turn
            wait_for(lambda name=champions.folders[turn].name: server_day(server) == name)
        wait_for(lambda: seen[-1] == "fnn")
        stop.set()
        for each in threads:
            each.join()
    assert not wrong
    assert {*seen} == {"ipnn", "fnn"}
    assert "pnn_gluon_serve_swaps_total 3" in asked(server, None, "GET", "/metrics")[1]


def server_day(server: RequestServer) -> str:
    return {"ipnn": "bundle", "fnn": "other"}[server.in_force.model.described["name"]]


def wait_for(condition: Any) -> None:
    until = threading.Event()
    for _ in range(1500):
        if condition():
            return
        until.wait(0.01)
    raise AssertionError("it did not come")


def test_a_broken_champion_is_told_and_the_old_one_serves_on(
    bundle: Path, server: RequestServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "model-0000.params").write_bytes(b"x")
    first, second = pointer("2026-11-01"), pointer("2026-11-02")
    champions = Champions({first: bundle, second: broken}, first)
    before = asked(server, {"rows": raw_rows()})
    with followed(server, champions):
        champions.now = second
        wait_for(lambda: server.fault is not None)
        health = asked(server, None, "GET", "/health")[1]
        assert health["status"] == "stale"
        assert "model-0000.params" in health["error"]
        assert asked(server, {"rows": raw_rows()}) == before
        assert "pnn_gluon_serve_swap_failures_total 1" in asked(server, None, "GET", "/metrics")[1]
        assert "the old one goes on" in caplog.text
        assert champions.loads == 1  # not at every look
        champions.now = first
        wait_for(lambda: server.fault is None)


def test_a_store_that_cannot_be_read_is_told(server: RequestServer) -> None:
    class Unreachable(Champions):
        def newest(self) -> Pointer:
            raise InputError("no store")

    with followed(server, Unreachable({}, pointer("2026-11-01"))):
        wait_for(lambda: server.fault == "no store")
    assert asked(server, {"rows": [{}]})[0] == 200


def test_the_end_waits_for_requests_that_had_come(model: LiveModel, monkeypatch: pytest.MonkeyPatch) -> None:
    came, go_on, answers = threading.Event(), threading.Event(), []
    genuine = model.probability

    def slow(columns: Any) -> Any:
        came.set()
        go_on.wait(10)
        return genuine(columns)

    monkeypatch.setattr(model, "probability", slow)
    with serving(model) as server:
        asking = threading.Thread(target=lambda: answers.append(asked(server, {"rows": [{}]})))
        asking.start()
        assert came.wait(10)
        threading.Timer(0.2, go_on.set).start()
    asking.join()
    assert [status for status, _ in answers] == [200]
