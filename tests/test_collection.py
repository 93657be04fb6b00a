"""Collecting the tests decides nothing for those that run: no test file imports Airflow before its home is set."""

import subprocess
import sys
from pathlib import Path

COLLECT = """
import sys, pytest
assert pytest.main(["--collect-only", "-qq", "-n", "0", "-p", "no:cacheprovider", "tests/dags", "tests/jobs"]) == 0
sys.exit("airflow.settings" in sys.modules)
"""


def test_no_test_file_imports_airflow() -> None:
    command = [sys.executable, "-W", "ignore", "-c", COLLECT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
