"""A tiny pipeline whose days a test can make odd: few columns, few rows, a linear model."""

import datetime
import hashlib
import random
import re
from pathlib import Path

from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus

FIRST = datetime.date(2026, 11, 1)

PIPELINE = """
name = "odd"
first_day = 2026-11-01
fields = [{ name = "site" }, { name = "price", kind = "numeric", buckets = 4 }]
[store]
root = "store"
[source]
logs = "logs/{day}/*.csv"
requests = "requests/{day}/*.csv"
columns = ["label", "site", "price"]
delimiter = ","
[feature_map]
min_impressions = 3
window_days = 3
[model]
name = "lr"
[training]
window_days = 1
epochs = 2
batch_size = 50
learning_rate = 0.01
[calibration]
method = "platt"
[gate]
min_rows = 1
min_auc = 0.0
pcoc_low = 0.001
pcoc_high = 1000.0
max_regression = 100.0
bootstrap_repeats = 10
[engine]
threads = 1
[publish]
server = "env:PNN_GLUON_TEST_SCORES"
table = "odd"
"""


def day(number: int) -> datetime.date:
    """Day 1 is the pipeline's first."""
    return plus(FIRST, number - 1)


def lines(seed: int, rows: int, click_rate: float = 0.3) -> str:
    """Rows with clicks at a rate that the site decides, and prices."""
    draw = random.Random(seed)
    text = ""
    for _ in range(rows):
        site = draw.randrange(8)
        rate = click_rate if click_rate in {0, 1} else click_rate * (0.5 + site / 8)
        text += f"{int(draw.random() < rate)},s{site},{draw.randrange(100)}\n"
    return text


def requests(seed: int, rows: int = 20) -> str:
    """Rows without a label."""
    return "".join(line.partition(",")[2] + "\n" for line in lines(seed, rows).splitlines())


def write(config: Config, kind: str, number: int, text: str) -> None:
    """Make a day's file of logs or requests."""
    path = config.path.parent / kind / str(day(number)) / "a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def with_own_table(folder: Path) -> Config:
    """The pipeline in a folder; its score table is no other pipeline's."""
    path, name = folder / "pipeline.toml", hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    path.write_text(re.sub(r'table = "\w+"', f'table = "odd_{name}"', path.read_text()))
    return load_config(path)


def odd_pipeline(folder: Path, days: int, edits: dict[str, str] | None = None, rows: int = 300) -> Config:
    """A pipeline of ordinary days, with texts of its configuration replaced."""
    text = PIPELINE
    for old, new in (edits or {}).items():
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.toml").write_text(text)
    config = with_own_table(folder)
    for number in range(1, days + 1):
        write(config, "logs", number, lines(number, rows))
        write(config, "requests", number + 1, requests(100 + number))
    return config
