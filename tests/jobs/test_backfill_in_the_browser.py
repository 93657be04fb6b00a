"""A backfill with a failing day in its middle, by the days page in Chromium: what people see, press and get.

The training of day 2 fails. The days after it go on, the deadline serves day 2 by the model of day 1, and once the
cause is gone the page's button makes the bytes of days that were never disturbed.
"""

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow.local_airflow import down, up
from jobs.airflow.settings import Settings
from pnn_gluon.config import load_config
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs import chromium
from tests.jobs.faults import Faults
from tests.jobs.real_airflow import Live, by_hand, free_port, fresh_database, wait_for
from tests.jobs.small_pipeline import DAYS, PIPELINE, SCORES_VARIABLE, export, in_force, tree, write_raw

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not chromium.found(), reason="there is no chromium on this machine"),
]

FOUR = DAYS[:4]
FIRST, FAILS = FOUR[:2]
FRAME = "document.querySelector('iframe').contentDocument"


@pytest.fixture(scope="module")
def disturbed(postgres: EmbeddedPostgres) -> Iterator[tuple[Live, Faults]]:
    folder = Path(tempfile.mkdtemp(prefix="browser-"))
    folder.chmod(0o755)
    (folder / "small.toml").write_text(PIPELINE.replace("last_day = 2026-11-30", f"last_day = {FOUR[-1]}"))
    write_raw(folder / "raw", FOUR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, fresh_database(postgres, "browser"))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        faults = Faults(folder, patch)
        faults.plant("small", "train", FAILS, "fail")
        settings = Settings(str(folder / "small.toml"), free_port(), users=("otto:op", "vera:viewer"))
        try:
            up(folder / "home", settings)
            yield Live(folder / "home", load_config(folder / "small.toml"), settings, "otto"), faults
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def press(live: Live, tab: chromium.Tab) -> str:
    """Open the days page, press the button, agree; what the page said it would do."""
    tab.open(f"{live.address}/dags/small_daily/plugin/pnn-dag-days")
    tab.wait_for(f"{FRAME}.querySelectorAll('tbody tr').length === {len(FOUR)}")
    tab.run(f"{FRAME}.getElementById('backfill').click()")
    tab.wait_for(f"!{FRAME}.getElementById('plan').hidden")
    says: str = tab.run(f"{FRAME}.getElementById('calls').innerText")
    tab.run(f"{FRAME}.getElementById('go').click()")
    tab.wait_for(f"{FRAME}.getElementById('message').textContent.startsWith('Started.')")
    return says


def cells(tab: chromium.Tab, day: datetime.date) -> list[str]:
    """The classes of the cells of a day, as the page in the tab shows them."""
    row = f"[...{FRAME}.querySelectorAll('tbody tr')].find(each => each.cells[0].textContent === '{day}')"
    found: list[str] = tab.run(f"[...{row}.querySelectorAll('td')].map(each => each.className)")
    return found


def unwell(live: Live) -> list[str]:
    """The days that the page would run."""
    return [str(day) for day in live.page("POST", f"/dags/small_daily/plan?first={FIRST}&last={FOUR[-1]}")["days"]]


def ended(live: Live) -> dict[str, str]:
    """The states of the runs, once every day's has ended."""
    wait_for(lambda: len(live.runs()) == len(FOUR) and not {"queued", "running"} & set(live.runs().values()))
    return live.runs()


def start(live: Live, dag: str, day: datetime.date, hour: int) -> None:
    """Have the run of a day made now that its clock has passed long ago."""
    live.api("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": False})
    moment = f"{day}T{hour:02}:00:00Z"
    body = {"dag_id": dag, "from_date": moment, "to_date": moment, "reprocess_behavior": "failed", "max_active_runs": 1}
    live.api("POST", "/backfills", body)


def test_a_day_that_fails_holds_up_no_other_and_the_button_makes_good(
    disturbed: tuple[Live, Faults], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    live, faults = disturbed
    with chromium.tab() as tab:
        tab.log_in(live.address, "otto", live.passwords["otto"])
        assert press(live, tab).startswith(f"backfill: {FIRST}, {FAILS}")
        live.api("PATCH", "/dags/small_daily?update_mask=is_paused", {"is_paused": False})
        assert ended(live) == dict.fromkeys(map(str, FOUR), "success") | {str(FAILS): "failed"}
        start(live, "small_scores", FAILS, 6)
        wait_for(lambda: scores_runs(live) == ["success"])
        assert served(live, FAILS) == {"state": "fallback", "model_day": str(FIRST)}
        assert [served(live, day)["state"] for day in FOUR if day != FAILS] == ["final"] * 3
        tab.open(f"{live.address}/dags/small_daily/plugin/pnn-dag-days")
        tab.wait_for(f"{FRAME}.querySelectorAll('tbody tr').length === {len(FOUR)}")
        shown = " ".join(cells(tab, FAILS))
        assert ("failed" in shown, "fallback" in shown) == (True, True), shown
        tab.picture("backfill-failed-day")

        faults.mend()
        assert str(FAILS) in press(live, tab)
        tab.picture("backfill-mended")
        assert ended(live) == dict.fromkeys(map(str, FOUR), "success")
        while unwell(live):  # what read the model of day 1 in place of that of day 2
            press(live, tab)
            assert ended(live) == dict.fromkeys(map(str, FOUR), "success")
        tab.open(f"{live.address}/dags/small_daily/plugin/pnn-dag-days")
        tab.wait_for(f"{FRAME}.querySelectorAll('tbody tr').length === {len(FOUR)}")
        assert not {"failed", "fallback", "stale"} & set(" ".join(cells(tab, FAILS)).split())
        tab.picture("backfill-well")
    assert served(live, FAILS) == {"state": "final", "model_day": str(FAILS)}
    assert in_force(tree(Path(live.config.store_root))) == in_force(by_hand(postgres, FOUR, tmp_path / "hand"))


def scores_runs(live: Live) -> list[str]:
    """The states of the runs of the deadline."""
    return [run["state"] for run in live.api("GET", "/dags/small_scores/dagRuns")["dag_runs"]]


def served(live: Live, day: datetime.date) -> dict[str, Any]:
    """What a bidder is told of a day."""
    told = export(live.config, day)
    return {name: told.get(name) for name in ("state", "model_day")}
