"""What `python -m benchmarks.operators` makes of the profiler's answers."""

from benchmarks.operators import summary


def test_small_operators_are_summed_up_and_waiting_is_no_operator() -> None:
    rounds = [
        {"step": 100.0, "pnn_dense": 60.0, "relu": 0.5, "WaitForVar": 50.0},
        {"step": 120.0, "pnn_dense": 70.0, "sum": 0.5},
        {"step": 110.0, "pnn_dense": 65.0, "relu": 0.7, "sum": 0.6},
    ]
    expected = {"step": 110.0, "pnn_dense": 65.0, "others": 1.0, "rest": 44.0, "limit": 40.0}
    assert summary(rounds, 40.0) == expected
