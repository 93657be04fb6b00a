"""Whatever a configuration holds, it is read or refused with a message: no other error, and none without its file."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError

OPTIONS = {
    "": {
        "name": '"f"',
        "first_day": "2026-11-01",
        "fields": '[{ name = "site" }, { name = "price", kind = "numeric" }]',
    },
    "store": {"root": '"s"'},
    "source": {"logs": '"l/{day}/*.tsv"', "columns": '["label", "site", "price", "t"]', "time_column": '"t"'},
    "sampling": {"negative_rate": "0.5", "salt": '"x"', "train": "0.8", "calibrate": "0.1", "gate": "0.1"},
    "feature_map": {"min_impressions": "5", "window_days": "3"},
    "model": {"name": '"ipnn"', "hidden": "[8, 8]", "embedding_size": "4", "dropout": "0.1"},
    "training": {"epochs": "2", "batch_size": "100", "learning_rate": "0.001", "optimizer": '"adam"'},
    "calibration": {"method": '"platt"', "maturity_days": "2"},
    "gate": {"min_auc": "0.5", "pcoc_low": "0.8", "slices": '["site"]'},
    "publish": {"table": '"scores"', "server": '"embedded"'},
    "engine": {"memory_limit": '"1GB"', "threads": "2"},
}
"""A pipeline that is read, by section and option."""

PLACES = [(section, option) for section, options in OPTIONS.items() for option in options]
ODD = [
    *("nan", "-inf", "-1", "0", "1e400", "9223372036854775808", "1e-320", "true", '""', '"\\u0000"', '"a\\nb"'),
    *('"{day}{day}"', '"{"', '"%Q%%"', "[]", "[[]]", "{}", "{ a = 1 }", '[1, "a"]', "07:32:00", "9999-12-31", "[nan]"),
    *("1979-05-27T07:32:00Z", '"s3://x/../y"', '["a", "a"]', '"gbdt"', '"din"', '"0MB"', '"env:X\\nY"', '"a.b.c"'),
]
VALUE = st.sampled_from(ODD) | st.text(max_size=12) | st.text(max_size=12).map(lambda text: f"'{text}'")
CHANGES = st.dictionaries(st.sampled_from(PLACES), VALUE | st.none(), max_size=4)


def text_of(changes: dict[tuple[str, str], str | None]) -> str:
    """The pipeline with other values; an option of None is left out."""
    lines = []
    for section, options in OPTIONS.items():
        lines += [f"[{section}]"] if section else []
        values = {option: changes.get((section, option), value) for option, value in options.items()}
        lines += [f"{option} = {value}" for option, value in values.items() if value is not None]
    return "\n".join(lines)


def read_or_refused(path: Path) -> Config | None:
    """A configuration, or None where it is refused; any other error is raised."""
    try:
        return load_config(path)
    except ConfigError as error:
        return said_where(path, error)


def said_where(path: Path, error: ConfigError) -> None:
    """See that a refusal names the file."""
    assert str(path) in str(error)


def test_the_pipeline_is_read_unchanged(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(text_of({}))
    assert read_or_refused(tmp_path / "p.toml") is not None


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_odd_values_are_read_or_refused(tmp_path: Path, changes: dict[tuple[str, str], str | None]) -> None:
    (tmp_path / "p.toml").write_text(text_of(changes), encoding="utf-8")
    read_or_refused(tmp_path / "p.toml")


@pytest.mark.parametrize("section", OPTIONS)
@pytest.mark.parametrize("value", ODD)
def test_an_odd_value_of_any_option_is_read_or_refused(tmp_path: Path, section: str, value: str) -> None:
    for option in OPTIONS[section]:
        (tmp_path / "p.toml").write_text(text_of({(section, option): value}))
        read_or_refused(tmp_path / "p.toml")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(text_of({})) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_flipped_and_missing_bytes_are_read_or_refused(tmp_path: Path, at: int, put: bytes, dropped: int) -> None:
    whole = text_of({}).encode()
    (tmp_path / "p.toml").write_bytes(whole[:at] + put + whole[at + dropped :])
    read_or_refused(tmp_path / "p.toml")
