"""A task ends as its job ended and says why in the job's own words."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set

OUTCOME = {"step": "gate", "day": "2026-11-02", "status": "refused", "details": {"reasons": ["auc 0.4, limit 0.5"]}}


class Pushed:
    """Stands for the task instance: keeps what is pushed."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.values[key] = value


def run(script: str) -> tuple[Any, dict[str, Any]]:
    from pnn_gluon_job import JobOperator

    task = JobOperator(task_id="train", bash_command=script, append_env=True, cwd="/")
    pushed = Pushed()
    return task.execute({"ti": pushed}), pushed.values


def test_the_last_line_is_the_result() -> None:
    assert run("""echo progress >&2; echo '{"rows": 3}'""")[0] == {"rows": 3}


def test_what_a_job_says_is_kept_in_the_log_of_a_run_without_airflows_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNN_GLUON_TASK_LOG", str(tmp_path / "tasks.log"))
    run("""echo progress >&2; echo '{"rows": 3}'""")
    run("""echo '{"rows": 4}'""")
    assert (tmp_path / "tasks.log").read_text() == 'progress\n{"rows": 3}\n{"rows": 4}\n'


@pytest.mark.parametrize("status", [2, 3])
def test_what_only_a_person_can_mend_fails_at_once_with_the_jobs_own_words(status: int) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"(?s)^no files of 2026-11-02\nlook there$"):
        run(f"echo progress; printf 'error: no files of 2026-11-02\\nlook there\\n' >&2; exit {status}")


def test_a_crash_is_tried_again_and_shows_its_traceback() -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=r"(?s)^Traceback .*ValueError: odd") as caught:
        run(f"""echo progress; exec {sys.executable} -c 'raise ValueError("odd")'""")
    assert not isinstance(caught.value, AirflowFailException)


def test_a_refused_day_is_skipped_with_its_reason_and_keeps_its_xcom() -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from pnn_gluon_job import JobOperator

    task = JobOperator(task_id="gate", bash_command=f"echo '{json.dumps(OUTCOME)}'; exit 4", append_env=True, cwd="/")
    pushed = Pushed()
    with pytest.raises(AirflowSkipException, match=r"gate 2026-11-02 refused: auc 0\.4, limit 0\.5"):
        task.execute({"ti": pushed})
    assert pushed.values == {"return_value": OUTCOME}


def test_the_reason_of_a_kept_day_is_said() -> None:
    from pnn_gluon_job import reason

    outcome = {"step": "train", "day": "2026-11-02", "status": "kept", "details": {"kept": "no clicks"}}
    assert reason(outcome) == "train 2026-11-02 kept: no clicks"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -ILL $$", "train was ended by SIGILL .*PNN_GLUON_ISA=avx2.*PNN_GLUON_OPERATORS=plain"),
        ("kill -SEGV $$", "train was ended by SIGSEGV .*PNN_GLUON_ISA=avx2"),
        ("exit 135", "train was ended by SIGBUS "),
        ("echo at epoch 1; kill -KILL $$", r"(?s)SIGKILL .*engine.memory_limit.*at epoch 1"),
    ],
)
def test_a_death_by_a_signal_is_named_with_what_to_set(script: str, words: str) -> None:
    from airflow.sdk.exceptions import AirflowException

    with pytest.raises(AirflowException, match=words):
        run(script)
