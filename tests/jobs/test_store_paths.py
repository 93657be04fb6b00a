"""Where the store lies decides nothing."""

import datetime
from pathlib import Path

from jobs.running import run_step
from pnn_gluon.config import load_config
from pnn_gluon.pipeline.steps import step

DAY = datetime.date(2026, 11, 1)
STEPS = ("ingest", "sample", "count", "feature_map", "encode")


def runs(folder: Path, root: str) -> list[str]:
    """The runs of the first steps, whose names are made from what the files hold."""
    path = folder / "pipeline.toml"
    path.write_text(
        'name = "paths"\nfirst_day = 2026-11-01\n'
        'fields = [{ name = "site" }, { name = "ds" }, { name = "price", kind = "numeric" }]\n'
        f'[store]\nroot = "{root}"\n[model]\nname = "lr"\n[feature_map]\nmin_impressions = 1\n'
        '[source]\nlogs = "logs/{day}.csv"\ndelimiter = ","\ncolumns = ["label", "site", "ds", "price"]\n'
    )
    config = load_config(path)
    return [run_step(step(name), config, DAY).run for name in STEPS]


def test_a_store_below_folders_that_look_like_columns_or_patterns_holds_the_same(tmp_path: Path) -> None:
    lines = [f"{i % 3 % 2},s{i % 7},d{i % 5},{i % 11}\n" for i in range(300)]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "2026-11-01.csv").write_text("".join(lines))
    plain = runs(tmp_path, "store")
    assert runs(tmp_path, "site=main/label=1/row_id=2/share=train/st[a]r*/**/it's/store") == plain
