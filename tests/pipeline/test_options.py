"""A step sees the options that it declares and no other, and is known by those that differ from the defaults."""

import hashlib
from pathlib import Path

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.options import chosen_options, declared, differences, option
from pnn_gluon.store.manifest import fingerprint

TEXT = """
name = "p"
first_day = 2026-11-01
fields = [{ name = "site" }, { name = "user", column = "u" }, { name = "price", kind = "numeric" }]
[store]
root = "store"
[source]
kind = "parquet"
logs = "logs/{day}"
requests = "asked/{day}"
[model]
name = "ipnn"
[training]
epochs = 3
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "p.toml").write_text(TEXT)
    return load_config(tmp_path / "p.toml")


def test_an_option_and_a_section_are_found_by_their_path(config: Config) -> None:
    assert option(config, "training.epochs") == 3
    assert option(config, "training") is config.training


def test_a_step_sees_what_it_declares_and_where_things_are(config: Config) -> None:
    seen = declared(config, ("training.epochs", "gate"), "train")
    assert seen.training.epochs == 3
    assert seen.gate is config.gate
    assert (seen.name, seen.path, seen.engine, seen.store_root) == (
        config.name,
        config.path,
        config.engine,
        config.store_root,
    )


@pytest.mark.parametrize(
    ("section", "name"), [("", "model"), ("training", "seed"), ("training", "name"), ("", "trainings")]
)
def test_what_a_step_does_not_declare_it_does_not_see(config: Config, section: str, name: str) -> None:
    seen = declared(config, ("training.epochs", "training.window_days"), "train")
    with pytest.raises(LookupError, match=f"step train does not declare the option {name};"):
        getattr(getattr(seen, section) if section else seen, name)


def test_fields_count_by_order_and_by_what_each_says_besides_its_name(config: Config) -> None:
    assert chosen_options(config, ("fields",)) == {
        "fields": ["site", "user", "price"],
        "fields.user.column": "u",
        "fields.price.kind": "numeric",
    }


def test_a_section_is_taken_whole_and_no_other_that_begins_alike(config: Config) -> None:
    assert chosen_options(config, ("source",)) == {
        "source.kind": "parquet",
        "source.logs": ["{day}"],
        "source.requests": ["{day}"],
    }
    assert chosen_options(config, ("sour", "source.log", "training.epoch")) == {}


def test_a_fingerprint_is_the_hash_of_sorted_json() -> None:
    expected = hashlib.sha256(b'{"a": null, "b": [1, 2.5]}').hexdigest()
    assert fingerprint({"b": [1, 2.5], "a": None}) == expected
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"a": float("nan")})


def test_an_option_that_is_none_is_not_one_left_at_its_default() -> None:
    assert differences({"b": 1, "a": None}, {"b": 2}) == ["a null -> its default", "b 1 -> 2"]
