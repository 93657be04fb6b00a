"""Every airflow command in the documents is one that this Airflow knows, with these options."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set
DOCUMENTS = Path(__file__).parents[2] / "docs"
COMMANDS = [
    found
    for path in sorted(DOCUMENTS.glob("*.md"))
    for found in re.findall(r"(?m)(?:^|`)(airflow (?!command|settings)[a-z][^`\n]*)", path.read_text())
]


def test_the_documents_show_how_to_backfill() -> None:
    assert any(command.startswith("airflow backfill create ") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_airflow_command_parses(command: str) -> None:
    from airflow.cli.cli_parser import get_parser

    if command.startswith("airflow celery") and importlib.util.find_spec("celery") is None:
        pytest.skip("the extra celery, which has this command, is not installed")
    get_parser().parse_args(shlex.split(command, comments=True)[1:])


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    from airflow.cli.cli_parser import get_parser

    with pytest.raises(SystemExit):
        get_parser().parse_args(["backfills", "create", "--dag-id", "demo_daily"])
