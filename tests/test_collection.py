"""Collecting the tests decides nothing for those that run: no test file imports Airflow before its home is set."""


def test_no_test_file_imports_airflow(loaded_by_collecting: frozenset[str]) -> None:
    """Of the files that this run collects: under `make test` of all."""
    assert "_pytest.python" in loaded_by_collecting
    assert "airflow.settings" not in loaded_by_collecting
