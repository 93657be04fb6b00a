"""A damaged file or manifest is named by the step that would have read it, and the command it names mends the day."""

import json
import re
from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAILY, DAYS

LAST = DAYS[-1]
READERS = {
    "rows": "sample",
    "samples": "encode",
    "counts": "feature_map",
    "maps": "train",
    "shards": "train",
    "models": "calibrate",
    "bundles": "gate",
    "champions": "score",
    "scores": "publish",
}


def run_folder(config: Config, table: str) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, LAST)
    assert manifest is not None
    return store.local / Store.relative(table, LAST, manifest.run)


def change_last_byte(path: Path) -> None:
    """Without touching other hard links of the same file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


def mend_as_told(config: Config, message: str) -> str:
    told = re.search(r"pnn-gluon step (\w+) --config (\S+) --day (\S+) --force", message)
    assert told is not None, message
    assert (told[2], told[3]) == (str(config.path), str(LAST))
    return run_step(step(told[1]), config, LAST, force=True).run


@pytest.mark.parametrize("table", [name for name in READERS if name != "champions"])
def test_a_damaged_file_stops_its_reader_and_the_named_command_mends_it(built: Config, table: str) -> None:
    before = open_store(built).manifest(table, LAST)
    assert before is not None
    change_last_byte(max(run_folder(built, table).iterdir(), key=lambda path: path.stat().st_size))
    with pytest.raises(DamagedError, match="not the bytes that were written") as raised:
        run_step(step(READERS[table]), built, LAST, force=True)
    assert mend_as_told(built, str(raised.value)) == before.run
    assert run_step(step(READERS[table]), built, LAST, force=True).status == "done"


@pytest.mark.parametrize("table", READERS)
def test_a_damaged_manifest_stops_its_reader_and_the_named_command_mends_it(built: Config, table: str) -> None:
    path = open_store(built).local / table / f"ds={LAST}.json"
    whole = path.read_bytes()
    fields = json.loads(whole)
    path.write_text(json.dumps({**fields, "rows": fields["rows"] + 1}))
    with pytest.raises(DamagedError, match=f"{table}/ds={LAST}.json") as raised:
        run_step(step(READERS[table]), built, LAST)
    mend_as_told(built, str(raised.value))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", [name for name in DAILY if name not in {"gate", "promote"}])
def test_a_step_does_not_call_a_damaged_day_done(built: Config, name: str, caplog: pytest.LogCaptureFixture) -> None:
    table = step(name).table.name
    change_last_byte(next(iter(sorted(run_folder(built, table).iterdir()))))
    caplog.set_level("INFO")
    assert run_step(step(name), built, LAST).status == "done"
    assert any("not the bytes that were written" in line for line in caplog.messages)
    assert run_step(step(name), built, LAST).status == "skipped"


def test_one_changed_digit_anywhere_in_a_bundle_is_refused_when_it_is_loaded(built: Config) -> None:
    folder = run_folder(built, "bundles")
    Bundle.load(folder)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        at = re.search(rb"[1-8]", whole[len(whole) // 2 :])
        assert at is not None
        place = len(whole) // 2 + at.start()
        path.unlink()
        path.write_bytes(whole[:place] + bytes([whole[place] + 1]) + whole[place + 1 :])
        with pytest.raises(DamagedError, match=re.escape(str(path))):
            Bundle.load(folder)
        path.write_bytes(whole)
    Bundle.load(folder)


def test_a_bundle_of_an_earlier_release_is_read(built: Config) -> None:
    path = run_folder(built, "bundles") / "bundle.json"
    card = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({key: value for key, value in card.items() if key not in {"files", "checksum"}}))
    assert Bundle.load(path.parent).card.files == {}


def test_a_bundle_that_cannot_be_parsed_is_an_error_that_names_it(built: Config) -> None:
    folder = run_folder(built, "bundles")
    card = json.loads((folder / "bundle.json").read_text())
    for name in ("calibrator.json", "bundle.json"):
        (folder / name).unlink()
    (folder / "bundle.json").write_text(json.dumps({**card, "files": {}, "checksum": None}))
    (folder / "calibrator.json").write_text("{")
    with pytest.raises(InputError, match=re.escape(str(folder))):
        Bundle.load(folder)


def test_what_a_kill_left_goes_also_when_the_day_stands(built: Config) -> None:
    left = open_store(built).local / f"samples/.ds={LAST}.json.0a1b2c3d"
    left.write_text("half")
    assert run_step(step("sample"), built, LAST).status == "skipped"
    assert not left.exists()
