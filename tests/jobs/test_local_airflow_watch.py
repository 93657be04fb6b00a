from jobs.airflow.local_airflow_watch import misses

RUNNING = dict.fromkeys(("api-server", "scheduler", "dag-processor", "triggerer"), "RUNNING")
HEALTHY = dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy")


def test_a_part_without_heartbeat_is_counted_and_forgiven_when_it_is_back() -> None:
    ill = HEALTHY | {"dag_processor": "unhealthy"}
    once = misses({}, RUNNING, ill)
    assert once == {"dag-processor": 1}
    assert misses(once, RUNNING, ill) == {"dag-processor": 2}
    assert misses(once, RUNNING, HEALTHY) == {}


def test_a_component_that_never_registered_is_unwell() -> None:
    assert misses({}, RUNNING, HEALTHY | {"triggerer": "None"}) == {"triggerer": 1}


def test_nobody_is_blamed_while_the_database_is_away() -> None:
    ill = dict.fromkeys(HEALTHY, "unhealthy")
    assert misses({"scheduler": 5}, RUNNING, ill) == {}


def test_only_the_server_is_blamed_for_no_answer() -> None:
    assert misses({"scheduler": 5}, RUNNING, None) == {"api-server": 1}


def test_a_part_that_is_starting_is_left_in_peace() -> None:
    ill = HEALTHY | {"scheduler": "unhealthy"}
    assert misses({"scheduler": 5}, RUNNING | {"scheduler": "STARTING"}, ill) == {}
