"""Which rows the gate judges and the calibrator learns from: those of their windows, and every slice asked for."""

import datetime

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.store.manifest import Manifest
from tests.jobs.small_pipeline import DAYS, build, sample_of

TODAY, BEFORE = DAYS[2], DAYS[1]


def changed(config: Config, old: str, new: str) -> Config:
    text = config.path.read_text()
    assert text.count(old) == 1
    config.path.write_text(text.replace(old, new))
    return load_config(config.path)


def manifest(config: Config, table: str, day: datetime.date) -> Manifest:
    found = open_store(config).manifest(table, day)
    assert found is not None
    return found


def rows(config: Config, day: datetime.date, share: str) -> int:
    return sample_of(config, day).read()["share"].to_pylist().count(share)


@pytest.mark.parametrize("window", [(TODAY,), (BEFORE, TODAY)])
def test_the_gate_judges_the_gate_shares_of_its_window(built: Config, window: tuple[datetime.date, ...]) -> None:
    config = changed(built, "[gate]", f"[gate]\nwindow_days = {len(window)}")
    build(config, [TODAY], ["gate"], force=True)
    assert manifest(config, "gates", TODAY).rows == sum(rows(config, day, "gate") for day in window)


@pytest.mark.parametrize("window", [(TODAY,), (BEFORE, TODAY)])
def test_the_calibrator_learns_from_the_calibrate_shares_of_its_window(
    built: Config, window: tuple[datetime.date, ...]
) -> None:
    config = changed(built, 'method = "platt"', f'method = "platt"\nwindow_days = {len(window)}')
    build(config, [TODAY], ["calibrate"], force=True)
    bundle = manifest(config, "bundles", TODAY)
    assert bundle.rows == bundle.details["summary"]["rows"] == sum(rows(config, day, "calibrate") for day in window)


def test_every_slice_is_judged(built: Config) -> None:
    config = changed(built, "[gate]", '[gate]\nslices = ["c2", "c1"]')
    build(config, [TODAY], ["gate"], force=True)
    measures = manifest(config, "gates", TODAY).details["measures"]
    assert {name.split("=")[0] for name in {**measures["slices"], **measures["slices_skipped"]}} == {"c1", "c2"}
