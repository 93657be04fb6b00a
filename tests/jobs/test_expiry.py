"""An id whose value does not come any more scores as *other* of its field, and as itself again once it is back."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.odd_days import day, odd_pipeline, write
from tests.jobs.small_pipeline import UNPUBLISHED, build

EDITS = {
    "min_impressions = 3\nwindow_days = 3": "min_impressions = 3\nwindow_days = 1\nexpire_days = 2",
    'name = "lr"': 'name = "fm"',
    "window_days = 1\nepochs": "window_days = 2\nepochs",
}
ALWAYS = [f"s{number}" for number in range(5)]


def logs(sites: list[str]) -> str:
    """Two hundred rows of each site; those of the site `seldom` are clicks."""
    rows = [(site, n) for site in sites for n in range(200)]
    return "".join(f"{int(site == 'seldom' or n % 7 == 0)},{site},{n}\n" for site, n in rows)


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The site `seldom` is there on the first day and on the fourth."""
    config = odd_pipeline(tmp_path_factory.mktemp("aged"), 0, EDITS)
    for number in range(1, 5):
        sites = [*ALWAYS, "seldom"] if number in {1, 4} else ALWAYS
        write(config, "logs", number, logs(sites))
        asked = [f"{site},{price}\n" for price in range(0, 40, 3) for site in ("seldom", "never seen")]
        write(config, "requests", number + 1, "".join(asked))
        assert set(build(config, [day(number)], UNPUBLISHED)) <= {"done", "kept"}
    return config


def scores(config: Config, number: int) -> tuple[list[float], list[float]]:
    """Logits of `seldom` and of a value that was never there, at the same prices."""
    store = open_store(config)
    manifest = store.manifest("scores", day(number))
    assert manifest is not None
    found = pq.read_table(store.folder(manifest) / "scores.parquet")["logit"].to_pylist()
    return found[::2], found[1::2]


def test_an_expired_id_scores_as_other_to_the_bit(aged: Config) -> None:
    for number, alike in ((1, False), (2, False), (3, True), (4, False)):
        known, other = scores(aged, number)
        assert len(known) == 14
        assert (known == other) is alike, number


def test_the_map_tells_how_many_are_expired(aged: Config) -> None:
    store = open_store(aged)
    told = [manifest.details for n in range(1, 5) if (manifest := store.manifest("maps", day(n))) is not None]
    assert [details["expired"] for details in told] == [0, 0, 1, 0]
    assert [details["revived"] for details in told] == [0, 0, 0, 1]
    assert [details["new_ids"] for details in told][1:] == [0, 0, 0]


def test_days_of_the_window_are_as_if_they_were_encoded_at_once(aged: Config, tmp_path: Path) -> None:
    store = open_store(aged)
    before = {number: store.manifest("shards", day(number)) for number in (2, 3, 4)}
    for number in before:
        build(aged, [day(number)], ("encode",), force=True)
    assert {number: store.manifest("shards", day(number)) for number in (2, 3, 4)} == before


def test_more_days_than_the_window_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="min_days 4: at most window_days"):
        odd_pipeline(tmp_path, 0, {"window_days = 3": "window_days = 3\nmin_days = 4"})
