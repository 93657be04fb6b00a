"""Scores by the deadline in a real Airflow: every step of a day once fails and once hangs, in a pipeline of its own.

Day 1 is there. On day 2 the step ends in an error, on day 3 it hangs, with its lock held. The deadline then scores both
days; what was mended takes over, with the bytes of days that were never disturbed.
"""

import datetime
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow.local_airflow import down, port_for, up
from jobs.airflow.settings import Settings
from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import NUMBERS_FILE, REPORTS
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.faults import Faults
from tests.jobs.real_airflow import Live, by_hand, fresh_database, wait_for
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, build, export, in_force, tree, write_raw

pytestmark = pytest.mark.long

FIRST, FAILS, HANGS = DAYS[:3]
LASTING = ("evaluate", *DAILY[DAILY.index("promote") + 1 :])
"""Steps that the model in force does not depend on: the deadline finds the day's own decision."""

ROOM = "[core]\nparallelism = 40\n"
"""For a hanging task of every pipeline, and others beside them."""


def name_of(faulty: str) -> str:
    return f"p_{faulty}"


def configuration(faulty: str) -> str:
    """A pipeline whose table, store and limit of the faulty step are its own."""
    name = name_of(faulty)
    text = PIPELINE.replace('name = "small"', f'name = "{name}"').replace('root = "store"', f'root = "stores/{name}"')
    own = f'table = "{name}"\novertake_minutes = 0.05\n[limits]\nhours = {{ {faulty} = 0.03 }}\n'
    return text.replace("last_day = 2026-11-30", f"last_day = {HANGS}") + own


@pytest.fixture(scope="module")
def running(postgres: EmbeddedPostgres) -> Iterator[tuple[Live, Faults]]:
    folder = Path(tempfile.mkdtemp(prefix="deadline-"))
    folder.chmod(0o755)
    for part in ("confs", "home"):
        (folder / part).mkdir(mode=0o711)
    (folder / "home" / "airflow.cfg").write_text(ROOM)
    write_raw(folder / "confs" / "raw", DAYS[:3])
    for faulty in DAILY:
        (folder / "confs" / f"{name_of(faulty)}.toml").write_text(configuration(faulty))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, fresh_database(postgres, "deadline"))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        faults = Faults(folder, patch)
        for faulty in DAILY:
            faults.plant(name_of(faulty), faulty, FAILS, "fail")
            faults.plant(name_of(faulty), faulty, HANGS, "hang")
        _first_day(folder / "confs")
        settings = Settings(str(folder / "confs"), port_for(folder / "home"))
        try:
            up(folder / "home", settings)
            config = load_config(folder / "confs" / f"{name_of(DAILY[0])}.toml")
            yield Live(folder / "home", config, settings), faults
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def _first_day(confs: Path) -> None:
    """Day 1 of every pipeline; it is the same in all but where it is published."""
    made = load_config(confs / f"{name_of(DAILY[0])}.toml")
    build(made, [FIRST])
    for faulty in DAILY[1:]:
        config = load_config(confs / f"{name_of(faulty)}.toml")
        shutil.copytree(made.store_root, config.store_root)
        run_step(step("publish"), config, FIRST, force=True)


def pipeline(live: Live, faulty: str) -> Config:
    return load_config(live.config.path.with_name(f"{name_of(faulty)}.toml"))


def backfill(live: Live, dag: str) -> None:
    live.api("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": False})
    hours = 6 if dag.endswith("_scores") else 0
    body = {"dag_id": dag, "reprocess_behavior": "failed", "max_active_runs": 2}
    ends = {"from_date": f"{FAILS}T{hours:02}:00:00Z", "to_date": f"{HANGS}T{hours:02}:00:00Z"}
    live.api("POST", "/backfills", body | ends)


def runs(live: Live, dag: str) -> list[str]:
    return sorted(run["state"] for run in live.api("GET", f"/dags/{dag}/dagRuns?limit=100")["dag_runs"])


def states(live: Live) -> dict[tuple[str, datetime.date], tuple[str, str]]:
    """By faulty step and day what bidders find: the state, and the day of the model."""
    found = {(each, day): export(pipeline(live, each), day) for each in DAILY for day in (FAILS, HANGS)}
    return {key: (told["state"], told["model_day"]) for key, told in found.items()}


def test_scores_are_there_whatever_fails_or_hangs_and_the_mended_days_take_over(
    running: tuple[Live, Faults], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    live, faults = running
    for faulty in DAILY:
        backfill(live, f"{name_of(faulty)}_daily")
    wait_for(lambda: faults.met() == 2 * len(DAILY))
    for faulty in DAILY:
        backfill(live, f"{name_of(faulty)}_scores")
    wait_for(lambda: all(runs(live, f"{name_of(each)}_scores") == ["success"] * 2 for each in DAILY))
    served = states(live)
    assert {key: served[key] for key in served if key[0] not in LASTING} == {
        (each, day): ("fallback", str(FIRST)) for each in DAILY if each not in LASTING for day in (FAILS, HANGS)
    }
    assert {key: served[key] for key in served if key[0] in LASTING} == {
        (each, day): ("final", str(day)) for each in LASTING for day in (FAILS, HANGS)
    }
    faults.mend()
    wait_for(lambda: not any(under_way(live, each) for each in DAILY))
    for _ in range(4):
        plans = [plan(live, each) for each in DAILY]
        for call in (call for found in plans for call in found["calls"]):
            live.api(call["method"], call["path"], call["body"])
        wait_for(lambda: not any(under_way(live, each) for each in DAILY))
    assert not [day for each in DAILY for day in plan(live, each)["days"]]
    assert states(live) == {(each, day): ("final", str(day)) for each in DAILY for day in (FAILS, HANGS)}
    undisturbed = without_pages(by_hand(postgres, DAYS[:3], tmp_path / "hand"))
    shown = [numbers(load_config(tmp_path / "hand" / "small.toml"), day) for day in DAYS[:3]]
    for config in (pipeline(live, each) for each in DAILY):
        assert without_pages(tree(Path(config.store_root))) == undisturbed
        assert [numbers(config, day) for day in DAYS[:3]] == shown


def without_pages(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is in force but the pages, which bear the name of their pipeline."""
    return {name: content for name, content in in_force(files).items() if not name.startswith(f"{REPORTS.name}/")}


def numbers(config: Config, day: datetime.date) -> dict[str, Any]:
    """What the page of a day shows, whatever the pipeline's name."""
    page = open_partition(open_store(config), REPORTS, day)
    assert page is not None
    shown: dict[str, Any] = json.loads(page.file(NUMBERS_FILE).read_text())
    return shown | {"pipeline": ""}


def under_way(live: Live, faulty: str) -> bool:
    """Whether a day of the pipeline has not ended."""
    return bool({"running", "queued"} & set(runs(live, f"{name_of(faulty)}_daily")))


def plan(live: Live, faulty: str) -> Any:
    """What the button of the days page would do: nothing for a day that the deadline made good."""
    return live.page("POST", f"/dags/{name_of(faulty)}_daily/plan?first={FIRST}&last={HANGS}")
