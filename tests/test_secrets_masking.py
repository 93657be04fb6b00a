"""Passwords do not reach messages, in whatever form they stand there."""

import pytest

from pnn_gluon.secrets_masking import masked


@pytest.mark.parametrize(
    "password", ["plainsecret", "s3cr@t", "se/cr#et?x", "100%sure", "s3cr%40t", "a:b@c:d", "it's,<s3cr>"]
)
def test_a_password_in_any_uri_is_hidden(password: str) -> None:
    text = masked(f'connection to "postgresql://bob:{password}@db:5432/scores" failed')
    assert text == 'connection to "postgresql://bob:***@db:5432/scores" failed'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host=db password=s3cret user=bob", "host=db password=*** user=bob"),
        (r"host=db password = 'a b\' c' user=bob", "host=db password = *** user=bob"),
        ("password=s3c,r'e&t user=bob", "password=*** user=bob"),
        ("{'user': 'bob', 'password': 's3c ret'}", "{'user': 'bob', 'password': ***}"),
        ("postgresql://bob@corp:s3cret@db/x", "postgresql://bob@corp:***@db/x"),
        ("postgresql://db/x?user=bob&password=s3c%40ret&sslmode=require", None),
    ],
)
def test_a_password_of_a_dsn_or_a_query_is_hidden(text: str, shown: str | None) -> None:
    assert masked(text) == (shown or "postgresql://db/x?user=bob&password=***&sslmode=require")


@pytest.mark.parametrize(
    "piece", ["s3cr@t/pass#1", "s3cr%40t%2Fpass%231", "s3cr", "t/pass#1", "pass#1", "s3cr%40t/pass%231"]
)
def test_what_the_environment_holds_is_hidden_in_every_spelling(monkeypatch: pytest.MonkeyPatch, piece: str) -> None:
    for uri in ("postgresql://bob:s3cr@t/pass#1@db/scores", "postgresql://bob:s3cr%40t%2Fpass%231@db/scores"):
        monkeypatch.setenv("PNN_GLUON_SCORES_URI", uri)
        assert masked(f'invalid port number: "{piece}"') == 'invalid port number: "***"'


@pytest.mark.parametrize("text", ["s3://bucket/key and a@b", "could not connect to db:5432", "http://127.0.0.1:80/x"])
def test_text_without_a_secret_stays(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PNN_GLUON_SCORES_URI", "postgresql://db:5432/scores")
    assert masked(text) == text
