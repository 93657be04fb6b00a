"""The Airflow connection of the score server reaches the job that publishes, and no eye."""

from typing import Any

import pytest

from pnn_gluon.config import Config
from pnn_gluon.pipeline.steps import step

PASSWORDS = ["plainsecret", "s3cr@t/x#1", "pass word%"]


def task(config: Config, name: str) -> Any:
    import pnn_gluon_tasks

    publish = config.publish.model_copy(update={"server": "connection:scores"})
    return pnn_gluon_tasks.step_job(step(name), config.model_copy(update={"publish": publish}))


@pytest.fixture(params=PASSWORDS)
def uri(request: pytest.FixtureRequest, dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of the Airflow connection `scores`."""
    from airflow.sdk import Connection

    connection = Connection(conn_id="scores", conn_type="postgres", host="db", login="bob", password=request.param)
    monkeypatch.setenv("AIRFLOW_CONN_SCORES", connection.get_uri())
    return str(connection.get_uri())


def test_only_the_job_that_publishes_gets_the_connection(uri: str, dag_pipeline: Config) -> None:
    publish, score = task(dag_pipeline, "publish"), task(dag_pipeline, "score")
    assert publish.get_env({})["PNN_GLUON_SCORES_URI"] == uri
    assert "PNN_GLUON_SCORES_URI" not in score.get_env({})
    assert not any("conn" in str(getattr(publish, field)) for field in publish.template_fields)


def test_the_password_is_masked_however_it_is_spelt(
    uri: str, dag_pipeline: Config, request: pytest.FixtureRequest
) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    task(dag_pipeline, "publish").get_env({})
    password = str(request.node.callspec.params["uri"])
    for said in (uri, password, uri.partition("bob:")[2].partition("@")[0]):
        assert redact(f"cannot use {said} there") == "cannot use *** there"


def test_a_connection_that_does_not_exist_fails_at_once(dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.delenv("AIRFLOW_CONN_SCORES", raising=False)
    with pytest.raises(AirflowFailException, match="connection scores, which does not exist"):
        task(dag_pipeline, "publish").get_env({})
