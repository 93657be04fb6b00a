"""A store that release 0.1 made: everything in it is done, read and made again to the same bytes."""

import datetime
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.commands.status import print_status
from jobs.commands.verify import verify
from jobs.day_reports import day_reports
from jobs.running import run_step
from jobs.steps.sampled import sampled_rows
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.legacy import SECTIONS
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import STEPS, step
from pnn_gluon.pipeline.tables import SAMPLES, SCORES, SCORES_FILE
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.store.manifest import Manifest, content_run
from pnn_gluon.store.store import Store

DAYS = [datetime.date(2026, 11, day) for day in (1, 2, 3)]
DAY = DAYS[-1]


@pytest.fixture
def old(tmp_path: Path) -> Config:
    with tarfile.open(Path(__file__).with_name("store_of_0_1.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return load_config(tmp_path / "pipeline.toml")


def words(config: Config, days: list[datetime.date]) -> set[str]:
    """How the steps that 0.1 had stand."""
    states = day_states(config, days).values()
    return {state.word for day in states for name, state in day.items() if name in SECTIONS}


def test_everything_is_done(old: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert words(old, DAYS) == {"done"}
    print_status(old, DAYS)
    assert "stale" not in capsys.readouterr().out


def test_days_judged_again_have_the_same_champions_and_scores(old: Config) -> None:
    kept = {name: run_of(old, name) for name in ("champions", "scores")}
    for day in DAYS:
        for name in ("evaluate", "gate"):
            assert run_step(step(name), old, day).status == "skipped"
            assert run_step(step(name), old, day, force=True).status == "done"
        for name in ("promote", "score"):
            run_step(step(name), old, day)
    assert words(old, DAYS) == {"done"}
    assert {name: run_of(old, name) for name in kept} == kept


def run_of(config: Config, table: str) -> str:
    return store_manifest(open_store(config), table).run


def test_everything_is_whole_and_read(old: Config) -> None:
    assert not [damage for check in verify(open_store(old), None) for damage in check.damages]
    assert [report.gate for report in day_reports(old, DAYS)] == ["accepted"] * 3
    store = open_store(old)
    for each in STEPS:
        if not each.by_hand and each.name in SECTIONS:
            partition = open_partition(store, each.table, DAY)
            assert partition is not None
            assert partition.details.to_json().items() <= dict(partition.manifest.details).items()
    scores = open_partition(store, SCORES, DAY)
    assert scores is not None
    assert pq.read_table(scores.file(SCORES_FILE)).num_rows == scores.rows == 60
    assert Bundle.load(store.folder(store_manifest(store, "bundles"))).card.model_day == str(DAY)


def store_manifest(store: Store, table: str) -> Manifest:
    manifest = store.manifest(table, DAY)
    assert manifest is not None
    return manifest


@pytest.mark.parametrize("name", ["feature_map", "promote"])
def test_a_step_made_again_gives_the_same_run_and_leaves_the_rest_done(old: Config, name: str) -> None:
    before, after = made_again(old, name)
    assert after.run == before.run
    assert (before.format, before.options) == (1, None)
    assert (after.format, after.version, after.files) == (2, 1, before.files)
    assert words(old, [DAY]) == {"done"}


@pytest.mark.parametrize("name", ["ingest", "count"])
def test_a_table_made_again_has_the_same_rows_in_other_bytes(old: Config, name: str) -> None:
    before, after = made_again(old, name)
    store = open_store(old)
    for file in after.files:
        assert pq.read_table(store.folder(after) / file.name).equals(pq.read_table(store.folder(before) / file.name))
    assert (before.version, after.version) == (1, step(name).version)
    assert after.rows == before.rows


def made_again(config: Config, name: str) -> tuple[Manifest, Manifest]:
    """The manifests of a finished day before and after it is made by force."""
    before = store_manifest(open_store(config), step(name).table.name)
    assert run_step(step(name), config, DAY).status == "skipped"
    assert run_step(step(name), config, DAY, force=True).status == "done"
    return before, store_manifest(open_store(config), step(name).table.name)


def test_a_sample_made_again_has_the_same_rows_and_gives_the_same_shards(old: Config) -> None:
    def sampled() -> SampledRows:
        partition = open_partition(open_store(old), SAMPLES, DAY)
        assert partition is not None
        (only,) = sampled_rows(partition)
        return only

    before = sampled().read()
    run_step(step("encode"), old, DAY, force=True)
    shards = store_manifest(open_store(old), "shards").files
    assert run_step(step("sample"), old, DAY).status == "skipped"
    assert run_step(step("sample"), old, DAY, force=True).status == "done"
    assert sampled().shares is not None
    assert sampled().read().equals(before)
    assert run_step(step("encode"), old, DAY).status == "done"
    assert store_manifest(open_store(old), "shards").files == shards


def test_scores_made_again_are_the_same_to_the_bit_on_such_a_processor_and_nearly_so_on_others(old: Config) -> None:
    store = open_store(old)
    before = store_manifest(store, "scores")
    was = pq.read_table(store.folder(before) / SCORES_FILE)
    assert run_step(step("score"), old, DAY).status == "skipped"
    assert run_step(step("score"), old, DAY, force=True).status == "done"
    after = store_manifest(store, "scores")
    scores = pq.read_table(store.folder(after) / SCORES_FILE)
    if after.made_by["processor"] == before.made_by["processor"]:  # numpy takes the widest instructions for exp
        assert scores.equals(was)
    assert scores.drop(["logit", "probability"]).equals(was.drop(["logit", "probability"]))
    for column in ("logit", "probability"):
        np.testing.assert_allclose(scores[column].to_numpy(), was[column].to_numpy(), rtol=1e-6, atol=1e-6)


def test_a_changed_option_is_told_though_0_1_did_not_write_it_down(old: Config) -> None:
    old.path.write_text(old.path.read_text().replace("epochs = 1", "epochs = 2"))
    states = day_states(load_config(old.path), [DAY])[DAY]
    assert states["train"].word == "stale"
    assert states["train"].reasons[0].startswith("configuration: one of model, training; release 0.1 did not")
    assert states["encode"].word == "done"


def test_a_manifest_without_a_detail_names_the_step_to_run_again(old: Config) -> None:
    path = Path(old.store_root) / f"gates/ds={DAY}.json"
    fields = json.loads(path.read_text())
    del fields["details"]["accepted"]
    manifest = Manifest.from_json(path.read_bytes())
    fields["run"] = content_run(manifest.files, manifest.rows, fields["details"])
    del fields["checksum"]
    path.write_text(json.dumps(fields))
    told = rf"gates of {DAY} was made by an older version .* has no 'accepted'; rerun: pnn-gluon step gate .* --force"
    with pytest.raises(InputError, match=told):
        run_step(step("promote"), old, DAY, force=True)
