"""A small pipeline over generated logs."""

import datetime
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.running import run_step
from jobs.steps.sampled import sampled_rows
from pnn_gluon.config import Config
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.synthetic import write_day, write_requests
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.days import day_range, plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import STEPS, step
from pnn_gluon.pipeline.tables import SAMPLES

DAILY = tuple(each.name for each in STEPS if each.schedule == "daily")
UNPUBLISHED = tuple(name for name in DAILY if name != "publish")
PROMOTED = DAILY[: DAILY.index("promote") + 1]
"""What puts a day's model in force: nothing is scored, published or reported."""
NIGHTLY = tuple(each.name for each in STEPS if each.schedule == "nightly")
FIRST = datetime.date(2026, 11, 1)
DAYS = day_range(FIRST, plus(FIRST, 4))
SCORES_VARIABLE = "PNN_GLUON_TEST_SCORES"

FIELDS = """fields = [
    { name = "i1", kind = "numeric", bucketing = "log_square" },
    { name = "i2", kind = "numeric", bucketing = "log_square" },
    { name = "i3", kind = "numeric", bucketing = "log_square" },
    { name = "i4", kind = "numeric", bucketing = "log_square" },
    { name = "i5", kind = "numeric", bucketing = "log_square" },
    { name = "i6", kind = "numeric", bucketing = "log_square" },
    { name = "c1" },
    { name = "c2" },
    { name = "c3" },
    { name = "c6" },
    { name = "c9" },
    { name = "c14" },
    { name = "c17" },
    { name = "c20" },
]
"""
"""A third of those of the preset, since each costs a day 25 ms of CPU; test_several_folders.py has all."""

PIPELINE = (
    FIELDS
    + """
name = "small"
first_day = 2026-11-01
last_day = 2026-11-30
[store]
root = "store"
[source]
preset = "criteo"
logs = "raw/logs/{day}/*.tsv"
requests = "raw/requests/{day}/*.tsv"
max_reject_share = 0.1
[sampling]
negative_rate = 0.5
train = 0.7
calibrate = 0.15
gate = 0.15
[feature_map]
min_impressions = 5
window_days = 3
[model]
name = "fm"
embedding_size = 4
[training]
window_days = 2
epochs = 2
batch_size = 200
learning_rate = 5e-3
checkpoint_every = 5
[calibration]
method = "platt"
[gate]
min_auc = 0.4
pcoc_low = 0.2
pcoc_high = 5.0
max_regression = 0.5
bootstrap_repeats = 20
[engine]
threads = 1
[publish]
server = "env:PNN_GLUON_TEST_SCORES"
"""
)
"""One thread starts no process for a part; test_days_in_parts.py has several."""

NAMED_PIPELINE = """
name = "{name}"
first_day = 2026-11-01
store = {{ root = "{name}/store" }}
fields = [{{ name = "c1" }}]
source = {{ logs = "{name}/logs/{{day}}.tsv", columns = ["label", "c1"] }}
[model]
name = "fm"
"""
"""A pipeline that loads and reads nothing; the name is filled in."""


def sample_of(config: Config, day: datetime.date) -> SampledRows:
    """The sample of a day, which has one part."""
    partition = open_partition(open_store(config), SAMPLES, day)
    assert partition is not None
    (only,) = sampled_rows(partition)
    return only


def raw_options() -> SyntheticOptions:
    return SyntheticOptions(
        seed=3, first_day=FIRST, rows_per_day=2000, request_rows_per_day=300, click_rate=0.2, bad_line_share=0.01
    )


def write_raw(folder: Path, days: Iterable[datetime.date]) -> None:
    for day in days:
        write_day(raw_options(), day, folder)
        write_requests(raw_options(), plus(day, 1), folder)


def build(
    config: Config, days: Iterable[datetime.date], steps: Iterable[str] = DAILY, force: bool = False
) -> list[str]:
    """Run steps day by day; the statuses."""
    return [run_step(step(name), config, day, force).status for day in days for name in steps]


def state_words(config: Config, days: Iterable[datetime.date]) -> dict[datetime.date, dict[str, str]]:
    """The state of every step of the day, without the reasons."""
    nightly = set(NIGHTLY) if not config.calibration.maturity_days else set(NIGHTLY) - {"mature"}
    return {
        day: {name: state.word for name, state in states.items() if name not in nightly}
        for day, states in day_states(config, days).items()
    }


def export(config: Config, day: datetime.date) -> dict[str, Any]:
    """What a bidder finds of a published day."""
    store = open_store(config)
    manifest = store.manifest("published", day)
    assert manifest is not None, (config.name, day)
    found: dict[str, Any] = json.loads((store.folder(manifest) / "export.json").read_text())
    return found


def tree(root: Path, tables: Iterable[str] = ()) -> dict[str, bytes]:
    """Every manifest and every file in force, by name."""
    wanted = set(tables)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".local" not in path.parts and (not wanted or path.relative_to(root).parts[0] in wanted)
    }


def in_force(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of the files of a `tree` those that must not depend on the way there.

    Not what was replaced, such as scores of a fallback, nor how often a day was published.
    """
    runs = {name[: -len(".json")]: f"run={json.loads(files[name])['run']}" for name in files if name.count("/") == 1}
    return {name: content for name, content in files.items() if not _replaced(name, runs)}


def _replaced(name: str, runs: Mapping[str, str]) -> bool:
    table, day, *run = name.split("/")
    return table == "published" or (len(run) > 1 and runs.get(f"{table}/{day}", run[0]) != run[0])
