"""Tables of models are made of runs that are on record."""

from pathlib import Path

import pytest

from benchmarks.model_table import EARLIER_IDS, Record
from pnn_gluon.experiments.config import load_fit_config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["frappe", "frappe_squared", "frappe_pretrained"])
def test_every_model_in_a_documented_table_has_its_runs_on_record(name):
    settings = load_fit_config(ROOT / "conf" / "experiments" / f"{name}.toml")
    record = Record(ROOT / "docs" / f"models_on_{name}.jsonl", settings)
    page = (ROOT / "docs" / f"models_on_{name}.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) > 2
    for model, *_, seeds, _, _, _, _, _ in rows[2:]:
        assert len(record.runs(model)) == int(seeds), model
    earlier = any("ids" in run for model, *_ in rows[2:] for run in record.runs(model))
    assert (EARLIER_IDS in page) == earlier
