"""Parsing DAG files is cheap, however many pipelines there are."""

from pathlib import Path

from benchmarks.dag_parse import in_a_process, write_pipelines


def test_twenty_pipelines_are_parsed_without_anything_heavy_in_little_time(tmp_path: Path) -> None:
    write_pipelines(tmp_path, 20)
    found = in_a_process(tmp_path)
    assert found["dags"] == 20 * 6
    assert found["heavy"] == []
    # CPU time of a busy machine varies with its load, and Airflow's own import with it: half of that is far too much.
    assert found["seconds"] < max(1.0, found["airflow_seconds"] / 2)
