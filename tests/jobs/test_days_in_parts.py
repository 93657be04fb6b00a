"""A day in parts, from logs to a model: each part has its shares and its shard; end to end they are the day."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.data.sampled_rows import read_columns
from pnn_gluon.data.shards import SHARES, open_shard
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.tables import COUNTS, COUNTS_FILE, PARTS_FILE, ROWS, ROWS_FILE, SAMPLES, SHARDS, SHARES_FILE
from tests.jobs.small_pipeline import DAYS, PIPELINE, UNPUBLISHED, build, in_force, tree, write_raw

TWO_DAYS = DAYS[:2]
PARTS = 3
"""Of 800 lines at most, in a day of 2,000."""


def config_in(folder: Path, threads: int) -> Config:
    folder.mkdir()
    (folder / "pipeline.toml").write_text(PIPELINE.replace("threads = 1", f"threads = {threads}"))
    write_raw(folder / "raw", TWO_DAYS)
    return load_config(folder / "pipeline.toml")


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two days in parts, whose rows are read and encoded by two processes."""
    config = config_in(tmp_path_factory.mktemp("parts") / "small", threads=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pnn_gluon.data.ingest.PART_LINES", 800)
        build(config, TWO_DAYS, UNPUBLISHED)
    return config


def partition(config: Config, table: object) -> Partition[object]:
    found = open_partition(open_store(config), table, TWO_DAYS[1])  # type: ignore[arg-type]
    assert found is not None
    return found


def end_to_end(parts: list[Path]) -> pa.Table:
    return pa.concat_tables([read_columns(part) for part in parts])


def encoded(parts: list[Path], share: str) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    read = []
    for path in parts:
        with open_shard(path) as shard:
            read.append(shard.read(share))
    return np.concatenate([ids for ids, _ in read]), np.concatenate([label for _, label in read])


def test_each_part_has_its_shares_and_its_shard(parted: Config) -> None:
    rows, samples, shards = (partition(parted, table) for table in (ROWS, SAMPLES, SHARDS))
    sizes = [read_columns(part).num_rows for part in rows.parts(ROWS_FILE)]
    assert len(sizes) == PARTS
    assert [read_columns(part).num_rows for part in samples.parts(ROWS_FILE)] == sizes
    assert [read_columns(part).num_rows for part in samples.parts(SHARES_FILE)] == sizes
    assert [len(shards.parts(f"{day}.h5")) for day in TWO_DAYS] == [PARTS, PARTS]


def test_parts_end_to_end_are_the_day_as_one_part(parted: Config, five_days: Config) -> None:
    for table, name in ((ROWS, ROWS_FILE), (SAMPLES, SHARES_FILE), (COUNTS, COUNTS_FILE)):
        ours, theirs = (partition(config, table).parts(name) for config in (parted, five_days))
        assert end_to_end(ours).equals(end_to_end(theirs))
    for day in TWO_DAYS:
        for share in SHARES:
            pairs = (encoded(partition(config, SHARDS).parts(f"{day}.h5"), share) for config in (parted, five_days))
            for ours, theirs in zip(*pairs, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_one_process_makes_the_same_bytes_as_several(
    parted: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnn_gluon.data.ingest.PART_LINES", 800)
    alone = config_in(tmp_path / "small", threads=1)
    assert alone.engine == EngineConfig(threads=1)
    build(alone, TWO_DAYS, UNPUBLISHED)
    ours, theirs = (
        {name: content for name, content in in_force(tree(Path(config.store_root))).items() if name.count("/") > 1}
        for config in (alone, parted)
    )
    assert ours == theirs


def test_all_parts_are_evaluated(parted: Config) -> None:
    store = open_store(parted)
    evaluated, rows = (store.manifest(name, TWO_DAYS[1]) for name in ("evaluations", "rows"))
    assert evaluated is not None
    assert rows is not None
    assert evaluated.rows == rows.rows > 1900


def nodes(config: Config) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in partition(config, ROWS).parts(ROWS_FILE)}


def day_of_two_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, Path, list[str]]:
    """A day that was read from two files, each by itself; their folder, and the lines of both."""
    monkeypatch.setattr("pnn_gluon.data.pieces.TOGETHER_BYTES", 10)
    config = config_in(folder / "small", threads=1)
    raw = folder / f"small/raw/logs/{TWO_DAYS[1]}"
    (first,) = raw.iterdir()
    lines = first.read_text().splitlines(keepends=True)
    (raw / "more.tsv").write_text("".join(lines[:100]))
    first.write_text("".join(lines[100:]))
    build(config, [TWO_DAYS[1]], ["ingest"])
    return config, raw, lines


def test_a_late_file_leaves_the_parts_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder, lines = day_of_two_files(tmp_path, monkeypatch)
    before = nodes(config)
    (folder / "zlate.tsv").write_text("".join(lines[50:60]))
    assert build(config, [TWO_DAYS[1]], ["ingest"]) == ["done"]
    assert {name: node for name, node in nodes(config).items() if name in before} == before
    assert len(nodes(config)) == len(before) + 1 == 3
    assert build(config, [TWO_DAYS[1]], ["ingest"], force=True) == ["done"]
    assert partition(config, ROWS).rows > 1900


def test_a_day_heals_whose_note_of_its_parts_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _, _ = day_of_two_files(tmp_path, monkeypatch)
    made = partition(config, ROWS)
    made.file(PARTS_FILE).write_text("[]")
    assert build(config, [TWO_DAYS[1]], ["ingest"]) == ["done"]
    healed = partition(config, ROWS)
    assert healed.whole
    assert healed.run == made.run
