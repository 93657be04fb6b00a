"""`pnn-gluon bench`: what it measures, on which rows, and what it calls the limit."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.commands.bench import Speed, encoded_subject, generated_subject, loop_ms, measure
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import PRECISION
from tests.jobs.small_pipeline import DAYS

KEYS = {f"{part}_{what}" for part in ("feeder", "step", "loop") for what in ("ms", "rows_per_second")}


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured need not be precise here."""
    monkeypatch.setattr("jobs.commands.bench.LEAST_ROWS", 1 << 12)


def bench(config: Config) -> dict[str, object]:
    """The JSON line of the command."""
    words = ["bench", "--config", str(config.path), "--batches", "3", "--rounds", "1", "--ids", "2000"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_measures_on_the_newest_shards(five_days: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "f32")
    figures = bench(five_days)
    assert figures["rows_of"] == f"shards of {DAYS[-1]}"
    assert {key for key in KEYS if float(str(figures[key])) > 0} == KEYS
    assert figures["limit"] in {"feeder", "step", "loop"}
    assert (figures["model"], figures["batch_size"], figures["precision"]) == ("fm", 200, "f32")


def test_measures_on_generated_rows_while_nothing_is_encoded(pipeline: Config) -> None:
    assert bench(pipeline)["rows_of"] == "generated rows"


def test_generated_rows_have_the_fields_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("""
name = "mine"
first_day = 2026-11-01
fields = [{ name = "site" }, { name = "tags", kind = "multi", max_values = 3 }, { name = "ad" }]
store = { root = "store" }
source = { logs = "logs/{day}", columns = ["label", "site", "tags", "ad"] }
model = { name = "ipnn", embedding_size = 4, hidden = [8] }
training = { batch_size = 50 }
""")
    subject = generated_subject(load_config(path), tmp_path, ids=300, batches=2)
    assert subject.layout.widths == (1, 3, 1)
    ids, label = next(subject.feeder.batches())
    assert ids.shape == (50, 5)
    assert set(np.unique(label)) <= {0, 1}
    assert [(column.min() - 1) // 100 for column in ids.T] == [0, 1, 1, 1, 2]
    assert [(column.max() - 1) // 100 for column in ids.T] == [0, 1, 1, 1, 2]
    assert measure(subject, batches=1, rounds=1).loop_ms > 0


def test_a_shard_of_few_batches_is_gone_through_again(five_days: Config) -> None:
    subject = encoded_subject(five_days)
    assert subject is not None
    assert subject.feeder.batch_count < 60
    assert loop_ms(subject, 60) > 0


def test_a_model_without_batches_is_refused(pipeline: Config) -> None:
    text = pipeline.path.read_text().replace('name = "fm"\nembedding_size = 4', 'name = "gbdt"')
    refused = ("epochs", "batch_size", "learning_rate", "checkpoint_every")
    pipeline.path.write_text("\n".join(line for line in text.splitlines() if not line.startswith(refused)))
    with pytest.raises(ConfigError, match="measures networks"):
        bench(pipeline)


@pytest.mark.parametrize(
    ("feeder", "step", "loop", "limit"),
    [(1.0, 10.0, 10.5, "step"), (10.0, 1.0, 10.5, "feeder"), (1.0, 10.0, 13.0, "loop"), (10.0, 9.0, 13.0, "loop")],
)
def test_names_what_limits(feeder: float, step: float, loop: float, limit: str) -> None:
    speed = Speed(batch_size=100, feeder_ms=feeder, step_ms=step, loop_ms=loop)
    assert speed.limit == limit
    assert speed.rows_per_second(10.0) == 10_000
