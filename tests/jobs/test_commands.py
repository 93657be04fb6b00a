"""The commands: one JSON object, an exit status that means something, errors that say what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pnn_gluon.config import Config
from tests.jobs.small_pipeline import DAILY, DAYS, FIRST, build

ROOT = Path(__file__).parents[2]
EXPORT = ("jobs", "export", "--config", "PIPELINE", "--days", "2026-11-01")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "PNN_GLUON_CONFIG"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_a_step_ends_with_one_json_object_and_does_nothing_the_second_time(pipeline: Config) -> None:
    words = ("jobs", "step", "ingest", "--config", pipeline.path, "--day", FIRST)
    first, second = run(*words), run(*words)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    outcome = json.loads(first.stdout)
    assert outcome["status"] == "done"
    assert outcome["rows"] + outcome["details"]["rejects"] == outcome["details"]["lines"] == 2000
    assert (Path(pipeline.store_root) / outcome["path"] / "rows.parquet").is_file()
    assert json.loads(second.stdout)["status"] == "skipped"
    assert run(*words, "--force").stdout.count('"status": "done"') == 1


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("jobs", "step", "ingest", "--day", "2026-11-01"), 2, "Missing option '--config'"),
        (("jobs", "step", "ingest", "--config", "PIPELINE", "--day", "yesterday"), 2, "expected a date such as"),
        (("jobs", "step", "ingest", "--config", "none.toml", "--day", "2026-11-01"), 2, "no such configuration file"),
        (("jobs", "step", "ingest", "--config", "PIPELINE", "--day", "2026-12-01"), 3, "2026-12-01"),
        (("jobs", "step", "sample", "--config", "PIPELINE", "--day", "2026-11-01"), 3, "step ingest --config"),
        (("jobs.cli", "rollback", "--config", "PIPELINE", "--day", "2026-11-01", "--reason", "x"), 2, "say either"),
        ((*EXPORT, "--model-day", "2026-11-01", "--name", "A b"), 2, "export name 'A b'"),
    ],
)  # fmt: skip
def test_a_mistake_ends_with_its_status_and_says_what_to_do(
    pipeline: Config, words: tuple[str, ...], status: int, said: str
) -> None:
    done = run(*(str(pipeline.path) if word == "PIPELINE" else word for word in words))
    assert done.returncode == status, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_refused_candidate_ends_with_status_4_and_yesterdays_model_keeps_scoring(built: Config) -> None:
    built.path.write_text(built.path.read_text().replace("min_auc = 0.4", "min_auc = 0.99"))
    words = ("--config", built.path, "--day", DAYS[2])
    gate = run("jobs", "step", "gate", *words)
    assert gate.returncode == 4, gate.stderr
    assert json.loads(gate.stdout)["status"] == "refused"
    assert "0.99" in gate.stderr
    promote = json.loads(run("jobs", "step", "promote", *words).stdout)
    status = run("jobs.cli", "status", *words).stdout
    assert "refused" in status
    assert "0.99" in status
    assert (promote["details"]["decision"], promote["details"]["model_day"]) == ("kept", str(DAYS[1]))
    score = run("jobs", "step", "score", *words)
    assert json.loads(score.stdout)["details"]["model_day"] == str(DAYS[1]), score.stderr


def test_without_any_model_in_force_scoring_is_kept(pipeline: Config) -> None:
    pipeline.path.write_text(pipeline.path.read_text().replace("min_auc = 0.4", "min_auc = 0.99"))
    done = run("jobs.cli", "run", "--config", pipeline.path, "--day", FIRST)
    assert done.returncode == 0, done.stderr
    assert "no model is in force yet: auc" in done.stderr
    statuses = {(outcome := json.loads(line))["step"]: outcome["status"] for line in done.stdout.splitlines()}
    assert (statuses["gate"], statuses["score"], statuses["publish"]) == ("refused", "kept", "kept")


def test_run_status_days_and_report_show_what_happened(pipeline: Config, tmp_path: Path) -> None:
    last = DAYS[1]
    done = run("jobs.cli", "run", "--config", pipeline.path, "--day", f"{FIRST}..{last}")
    assert done.returncode == 0, done.stderr
    made = [json.loads(line)["day"] for line in done.stdout.splitlines()]
    assert made == [str(day) for day in (FIRST, last) for _ in DAILY]
    status = run("jobs.cli", "status", "--config", pipeline.path, "--day", f"{FIRST}..{last}").stdout
    assert status.count("done") == len(made)
    days = run("jobs.cli", "days", "--config", pipeline.path, "--day", f"{FIRST}..{last}").stdout
    assert str(last) in days
    page = tmp_path / "report.html"
    words = ("--config", pipeline.path, "--day", f"{FIRST}..{last}", "--output", page)
    assert run("jobs.cli", "report", *words).returncode == 0
    assert str(last) in page.read_text()


def test_run_makes_the_chosen_steps_in_one_process_without_mxnet(pipeline: Config) -> None:
    """Data steps need no requests, and what they do not need is not loaded."""
    text = pipeline.path.read_text()
    pipeline.path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("requests")))
    program = "import sys; sys.modules['mxnet'] = None; from jobs.cli import main; main()"
    words = ("run", "--steps", "encode, sample,count,ingest,feature_map", "--config", pipeline.path, "--day", FIRST)
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    made = [json.loads(line)["step"] for line in done.stdout.splitlines()]
    assert made == ["ingest", "sample", "count", "feature_map", "encode"]


def test_run_refuses_a_step_that_no_day_has(pipeline: Config) -> None:
    done = run("jobs.cli", "run", "--steps", "ingest,bake", "--config", pipeline.path, "--day", FIRST)
    assert done.returncode == 2
    assert "no step of a day bake; they are ingest, sample" in done.stderr


def test_the_score_server_answers_queries(built: Config) -> None:
    build(built, DAYS[-1:], ("publish",), force=True)
    sql = "select count(*) as published from scores where day = '2026-11-06'"
    done = run("jobs.cli", "query", "--config", built.path, sql)
    assert done.returncode == 0, done.stderr
    assert "300" in done.stdout
    twice = run("jobs.cli", "query", "--config", built.path, "select 17 as n, 18 as n").stdout
    assert "17" in twice
    assert "18" in twice
    refused = run("jobs.cli", "query", "--config", built.path, "select nothing")
    assert refused.returncode == 2
    assert "refused the statement" in refused.stderr


def test_doctor_finds_what_is_there(built: Config) -> None:
    done = run("jobs.cli", "doctor", "--config", built.path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1.9.1" in done.stdout
    assert "not usable" in done.stdout


def test_synth_writes_logs_requests_and_truth(tmp_path: Path) -> None:
    done = run(
        "jobs.cli", "synth", "--folder", tmp_path, "--day", "2026-11-01..2026-11-02", "--rows", 50, "--requests", 7
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["2026-11-01", "2026-11-02"]
    assert sorted(path.name for path in (tmp_path / "requests").iterdir()) == ["2026-11-02", "2026-11-03"]
    assert (tmp_path / "truth/2026-11-01.parquet").is_file()
