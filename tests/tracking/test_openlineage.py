"""Events of days as the real package makes and sends them, checked against the specification's own schemas."""

import base64
import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.tracking.telling import Told, tell
from tests.jobs.small_pipeline import tree
from tests.tracking.needed import needs_openlineage
from tests.tracking.small_store import FIRST, SECOND, commit, small_store
from tests.webhook import Webhook, listening

pytestmark = needs_openlineage

SCHEMAS = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema))
    for schema in json.loads((Path(__file__).parent / "openlineage_2_0_2.json").read_text())
)
"""Of the specification 2-0-2 and its facets, from the project's repository (Apache-2.0), without their texts."""


@pytest.fixture
def catalogue() -> Iterator[Webhook]:
    with listening() as server:
        yield server


def send(config: Config, catalogue: Webhook, days: Any = (FIRST, SECOND), login: str = "", **options: Any) -> Told:
    address = catalogue.address("").replace("://", f"://{login}")
    return tell(config, days, {"openlineage": address}, **options)["openlineage"]


def events(config: Config, catalogue: Webhook, days: Any = (FIRST, SECOND)) -> list[dict[str, Any]]:
    """The events of days that were not sent before."""
    catalogue.received.clear()
    assert send(config, catalogue, days).unsent == []
    return [body for _, _, body in catalogue.received]


def complete(found: list[dict[str, Any]], step: str) -> dict[str, Any]:
    (one,) = (each for each in found if each["job"]["name"] == step and each["eventType"] == "COMPLETE")
    return one


def conforms(event: Mapping[str, Any]) -> None:
    """An event, and every facet in it by the schema that it names, as JSON Schema says."""

    def check(told: Any, schema: str) -> None:
        Draft202012Validator({"$ref": schema}, registry=SCHEMAS, format_checker=FormatChecker()).validate(told)

    check(event, event["schemaURL"])
    assert event["schemaURL"].startswith("https://openlineage.io/spec/2-0-2/")
    for holder in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for facets in ("facets", "inputFacets", "outputFacets"):
            for facet in holder.get(facets, {}).values():
                check(facet, facet["_schemaURL"])


def test_every_event_conforms_to_the_specification(tracked: Config, catalogue: Webhook) -> None:
    open_store(tracked).record_failure("published", SECOND, "OSError: the server is away")
    found = events(tracked, catalogue)
    assert len(found) == 2 * 2 * 8 + 2
    for event in found:
        conforms(event)


def test_every_step_of_a_day_starts_and_completes_with_what_it_read_and_made(
    tracked: Config, catalogue: Webhook
) -> None:
    found = events(tracked, catalogue, [SECOND])
    assert {path for path, *_ in catalogue.received} == {"/api/v1/lineage"}
    made = ["ingest", "check", "evaluate", "train", "calibrate", "gate", "promote", "score"]
    assert [(each["job"]["name"], each["eventType"]) for each in found] == [
        (step, state) for step in made for state in ("START", "COMPLETE")
    ]
    root = f"{tracked.store_root}"
    event = complete(found, "calibrate")
    (read,) = event["inputs"]  # not what was not there
    models = open_store(tracked).manifest("models", SECOND)
    assert models is not None
    assert (read["namespace"], read["name"]) == ("file", f"{root}/models")
    assert read["facets"]["version"]["datasetVersion"] == models.run
    (part,) = read["inputFacets"]["subset"]["inputCondition"]["partitions"]
    assert part == {"dimensions": {"ds": str(SECOND)}, "identifier": models.run}
    (written,) = event["outputs"]
    assert written["name"] == f"{root}/bundles"
    nominal = event["run"]["facets"]["nominalTime"]
    assert nominal["nominalStartTime"] == "2026-11-02T00:00:00+00:00"
    assert nominal["nominalEndTime"] == "2026-11-03T00:00:00+00:00"
    tags = {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}
    assert (tags["mxnet"], tags["step_version"]) == ("1.9.1", "1")
    assert len(complete(found, "score")["inputs"]) == 1  # the clocks of a zone are no dataset


def test_a_step_starts_by_the_seconds_that_it_took_before_it_was_written(tracked: Config, catalogue: Webhook) -> None:
    store = open_store(tracked)
    model, written = store.manifest("models", SECOND), store.written("models", SECOND)
    assert model is not None
    assert written is not None
    store.note_seconds(model, 93.25)
    times = {
        (each["job"]["name"], each["eventType"]): each["eventTime"] for each in events(tracked, catalogue, [SECOND])
    }
    told = {state: datetime.datetime.fromisoformat(times["train", state]) for state in ("START", "COMPLETE")}
    assert told == {"START": written - datetime.timedelta(seconds=93.25), "COMPLETE": written}
    assert times["ingest", "START"] == times["ingest", "COMPLETE"]  # nobody knows


def test_rows_and_bytes_written_and_missing_values_are_told(tracked: Config, catalogue: Webhook) -> None:
    found = events(tracked, catalogue, [SECOND])
    (rows,) = complete(found, "ingest")["outputs"]
    statistics = rows["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (100, 40, 1)
    (checked,) = complete(found, "check")["inputs"]
    quality = checked["inputFacets"]["dataQualityMetrics"]
    assert (quality["rowCount"], quality["bytes"]) == (100, 40)
    assert quality["columnMetrics"]["site"]["nullCount"] == 25
    assert quality["columnMetrics"]["label"]["sum"] == 10
    (assertion,) = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    told = {name: assertion[name] for name in ("assertion", "success", "column", "severity", "expected", "actual")}
    assert told == {
        "assertion": "missing",
        "success": False,
        "column": "site",
        "severity": "warn",
        "expected": "0.1",
        "actual": "0.25",
    }


def test_columns_are_named_and_each_leads_back_to_the_raw_ones(tracked: Config, catalogue: Webhook) -> None:
    found = events(tracked, catalogue, [SECOND])
    (rows,), (scores,) = complete(found, "ingest")["outputs"], complete(found, "score")["outputs"]
    types = {each["name"]: each["type"] for each in rows["facets"]["schema"]["fields"]}
    assert types == {
        "row_id": "string",
        "file": "string",
        "line": "int64",
        "label": "int8",
        "site": "string",
        "price": "double",
        "hour": "string",
    }
    logs, requests = (f"{tracked.path.parent}/raw/{kind}" for kind in ("logs", "requests"))
    assert origins(rows) == {
        "row_id": {(logs, "id", "TRANSFORMATION")},
        "label": {(logs, "click", "TRANSFORMATION")},
        "site": {(logs, "c1", "IDENTITY")},
        "price": {(logs, "n1", "TRANSFORMATION")},
        "hour": {(logs, "time", "TRANSFORMATION")},
    }
    assert {column for _, column, _ in origins(scores)["probability"]} == {"c1", "n1", "time"}
    assert {place for place, *_ in origins(scores)["probability"]} == {requests}


def origins(dataset: Mapping[str, Any]) -> dict[str, set[tuple[str, str, str]]]:
    """By column where it comes from."""
    return {
        name: {(each["name"], each["field"], each["transformations"][0]["subtype"]) for each in fields["inputFields"]}
        for name, fields in dataset["facets"]["columnLineage"]["fields"].items()
    }


def test_a_failed_step_fails_with_its_words_and_without_passwords(tracked: Config, catalogue: Webhook) -> None:
    open_store(tracked).record_failure("published", SECOND, "OSError: no postgresql://bob:pl4nted@db/scores")
    start, fail = (each for each in events(tracked, catalogue, [SECOND]) if each["job"]["name"] == "publish")
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert start["run"]["runId"] == fail["run"]["runId"]
    assert fail["run"]["facets"]["errorMessage"]["message"] == "OSError: no postgresql://bob:***@db/scores"


def test_a_refused_and_a_kept_day_complete_and_say_so(tracked: Config, catalogue: Webhook) -> None:
    commit(tracked, "models", SECOND, {"kept": "no clicks"})
    found = events(tracked, catalogue, [SECOND])
    tags = {
        step: {tag["key"]: tag["value"] for tag in complete(found, step)["run"]["facets"]["tags"]["tags"]}
        for step in ("train", "gate", "calibrate")
    }
    assert (tags["train"]["kept"], tags["gate"]["refused"]) == ("no clicks", "true")
    assert not {"kept", "refused"} & set(tags["calibrate"])


def test_sent_twice_nothing_goes_out_and_by_force_the_very_same(tracked: Config, catalogue: Webhook) -> None:
    first = events(tracked, catalogue)
    assert events(tracked, catalogue) == []
    send(tracked, catalogue, again=True)
    assert [body for _, _, body in catalogue.received] == first


def test_runs_are_known_by_the_store_whoever_sends_them(tracked: Config, catalogue: Webhook, tmp_path: Path) -> None:
    other = small_store(tmp_path / "elsewhere")
    first, second = ({each["run"]["runId"] for each in events(config, catalogue)} for config in (tracked, other))
    assert first == second
    assert len(first) == 2 * 8


def test_what_could_not_be_sent_goes_out_with_the_next_day(tracked: Config, tmp_path: Path, unused_port: int) -> None:
    away = {"openlineage": f"http://:s3cret@127.0.0.1:{unused_port}"}
    told = tell(tracked, [FIRST], away)["openlineage"]
    assert told.unsent == [str(FIRST)]
    assert "s3cret" not in str(told)
    with listening(unused_port) as server:  # at the same address, with another token
        told = tell(tracked, [SECOND], {"openlineage": f"http://:other@127.0.0.1:{unused_port}"})["openlineage"]
    assert told == Told([str(FIRST), str(SECOND)], [])
    assert len(server.received) == 2 * 2 * 8
    assert {token for _, token, _ in server.received} == {"Bearer other"}


def test_a_user_logs_in_and_the_login_is_in_no_event(tracked: Config, catalogue: Webhook) -> None:
    send(tracked, catalogue, login="bob:s3cr%40t@")
    ((token,),) = ({token for _, token, _ in catalogue.received},)
    assert token == f"Basic {base64.b64encode(b'bob:s3cr@t').decode()}"
    assert not any("s3cr" in json.dumps(body) for *_, body in catalogue.received)


def test_events_go_to_a_file_one_a_line(tracked: Config, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        assert tell(tracked, [FIRST], {"openlineage": str(path)})["openlineage"] == Told([str(FIRST)], [])
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(found) == 2 * 8
    for event in found:
        conforms(event)


def test_a_day_of_which_there_is_nothing_is_said(
    tracked: Config, catalogue: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    assert events(tracked, catalogue, [plus(SECOND, 1)]) == []
    assert "track 2026-11-03: nothing of this day is in the store" in caplog.text


def test_a_damaged_manifest_is_left_out_and_said(
    tracked: Config, catalogue: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = Path(tracked.store_root) / "models" / f"ds={SECOND}.json"
    manifest.write_text(manifest.read_text().replace('"fm"', '"fn"'))
    found = events(tracked, catalogue, [SECOND])
    assert "train" not in {each["job"]["name"] for each in found}
    assert "checksum" in caplog.text


def test_the_store_is_as_it_was(tracked: Config, catalogue: Webhook) -> None:
    before = tree(Path(tracked.store_root))
    send(tracked, catalogue)
    assert tree(Path(tracked.store_root)) == before
