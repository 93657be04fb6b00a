"""The URL of a bucket says where it is, and holds no secret."""

from typing import Any

import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.store.bucket_url import open_bucket


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def opened(url: str) -> Any:
    return open_bucket(url)


def test_an_endpoint_of_the_url_goes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://other:1")
    assert opened("s3://b/p").config["endpoint"] == "http://other:1"
    assert opened("s3://b/p?endpoint_override=host:9000").config["endpoint"] == "https://host:9000"
    assert opened("s3://b/p?endpoint_override=host:9000&scheme=http").config["endpoint"] == "http://host:9000"


def test_a_region_of_the_url_goes_before_that_of_the_environment_and_that_before_the_buckets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pyarrow.fs.resolve_s3_region", lambda bucket: f"region-of-{bucket}")
    assert opened("s3://b/p").config["region"] == "region-of-b"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert opened("s3://b/p").config["region"] == "eu-west-1"
    assert opened("s3://b/p?region=eu-north-1").config["region"] == "eu-north-1"


def test_a_bucket_whose_region_nobody_knows_is_an_error_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(bucket: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr("pyarrow.fs.resolve_s3_region", unknown)
    with pytest.raises(ConfigError, match="s3://b: its region is not known: set AWS_REGION"):
        open_bucket("s3://b/p")


@pytest.mark.parametrize("user", ["key:hidden", "hidden"])
def test_credentials_in_a_url_are_refused_and_not_repeated(user: str) -> None:
    with pytest.raises(ConfigError, match="credentials in a URL are not read; set them in the environment") as error:
        open_bucket(f"s3://{user}@b/p?region=x")
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("url", ["s3://b/p?acess_key=x&region=y", "gs://b/p?acess_key=x"])
def test_a_word_of_the_query_without_a_meaning_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="b/p: acess_key in its query: expected"):
        open_bucket(url)


def test_the_path_is_a_prefix_of_every_name() -> None:
    assert opened("s3://b/deep/path/?region=x").prefix == "deep/path"
    assert opened("s3://b?region=x").prefix is None


def test_buckets_of_google_and_azure_are_opened() -> None:
    assert opened("gs://b/p").config["bucket"] == "b"
    assert opened("abfss://c@account.dfs.core.windows.net/p").config["container_name"] == "c"
