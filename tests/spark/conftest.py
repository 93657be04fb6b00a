"""Spark, where it is installed (`make .venv/spark.stamp`) and the machine has Java."""

import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say why these tests can't run, where they can't."""
    reason = missing()
    for item in items if reason else ():
        if "tests/spark/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


def missing() -> str:
    """What is not there."""
    from importlib.util import find_spec

    if find_spec("pyspark") is None:
        return "pyspark is not installed: make .venv/spark.stamp"
    return "" if shutil.which("java") else "no Java on this machine"
