"""`query` reads only, and prints what the server holds."""

from pathlib import Path

import psycopg
import pytest

from jobs.commands import query
from jobs.commands.query import print_query
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.small_pipeline import PIPELINE, SCORES_VARIABLE


@pytest.fixture
def config(postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A pipeline whose score server is the session's, with a table `kept` that holds 7."""
    postgres.ensure_database("asked")
    postgres.ensure_roles("asked")
    with psycopg.connect(postgres.uri("asked"), autocommit=True) as owner:
        owner.execute("drop table if exists kept")
        owner.execute("create table kept as select 7 as n")
    monkeypatch.setenv(SCORES_VARIABLE, postgres.reader_uri("asked"))
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    return load_config(tmp_path / "pipeline.toml")


def test_cells_are_the_servers_text_and_null_is_visible(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    print_query(
        config,
        "select '[red]x[/red] :smile:' as a, null as b, 1.50::numeric as c, '{1,2}'::int[] as d, true as e, "
        "date '2026-11-01' as f, E'x\\n\\x1b[31m' as g, '\\xff'::bytea as h, '" + "w" * 300 + "' as i",
    )
    line = capsys.readouterr().out.splitlines()[2]
    assert line.split(" │ ") == [
        "[red]x[/red] :smile:", "NULL", "1.50", "{1,2}", "t", "2026-11-01", r"x\n\x1b[31m", r"\xff", "w" * 300,
    ]  # fmt: skip


def test_only_the_first_rows_of_a_long_answer_are_fetched(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    print_query(config, "select generate_series(1, 1000000000) as n")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + query.SHOWN_ROWS + 1
    assert "more rows" in lines[-1]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("delete from kept", "cannot execute DELETE in a read-only transaction; query only reads"),
        ("copy kept to program 'touch PROOF'", "permission denied"),
        ("do $$ begin copy kept to program 'touch PROOF'; end $$", "permission denied"),
        ("select 1; select 2", "multiple commands"),
        ("commit; delete from kept", "multiple commands"),
        ("select nothing", 'column "nothing" does not exist'),
        ("select rolpassword from pg_authid", "permission denied"),
        ("  ", "empty"),
    ],
)
def test_what_is_no_single_reading_statement_is_refused_in_one_line(
    config: Config, postgres: EmbeddedPostgres, tmp_path: Path, sql: str, said: str
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError) as refused:
        print_query(config, sql.replace("PROOF", str(tmp_path / "proof")))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "proof").exists()
    with psycopg.connect(postgres.uri("asked")) as owner:
        assert owner.execute("select n from kept").fetchall() == [(7,)]


def test_an_owner_of_the_tables_only_reads_too(
    config: Config, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCORES_VARIABLE, postgres.uri("asked"))
    with pytest.raises(ConfigError, match="read-only transaction"):
        print_query(config, "delete from kept")


def test_a_lost_server_is_one_line_without_the_password(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCORES_VARIABLE, "postgresql://ann:hidden%zz@127.0.0.1:1/x")
    with pytest.raises(PnnError) as wrong:
        print_query(config, "select 1")
    monkeypatch.setenv(SCORES_VARIABLE, "postgresql://ann:hidden@127.0.0.1:1/x")
    with pytest.raises(PnnError, match="can't be reached") as lost:
        print_query(config, "select 1")
    assert "hidden" not in f"{wrong.value}{lost.value}"


def test_the_reader_sees_tables_and_schemas_made_before_and_after_it(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database("asked_too")
    with psycopg.connect(postgres.uri("asked_too"), autocommit=True) as owner:
        for moment in ("before", "after"):
            owner.execute(f"drop schema if exists {moment} cascade")
            owner.execute(f"create schema {moment}")
            owner.execute(f"create table {moment}.kept as select 7 as n")
            postgres.ensure_roles("asked_too")
    with psycopg.connect(postgres.reader_uri("asked_too"), autocommit=True) as reader:
        assert reader.execute("select before.kept.n + after.kept.n from before.kept, after.kept").fetchone() == (14,)
        reader.execute("set default_transaction_read_only = off")
        for refused in ("insert into before.kept values (1)", "create table public.mine (n int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(refused)
