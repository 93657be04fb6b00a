import json

import pytest

from benchmarks.cut_tables import main


def test_the_cost_of_each_number_of_parts_is_in_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(ids=500, parts="1,3", rounds=2)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["cpu_ms"]) == {"1", "3"}
    assert all(each > 0 for each in found["cpu_ms"].values())
