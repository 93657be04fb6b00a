from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.cluster.plan import make_plan

SHAPES = st.dictionaries(
    st.sampled_from([f"dense_{i}" for i in range(9)]), st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple)
)


@given(
    size=st.integers(1, 200),
    servers=st.integers(1, 5),
    workers=st.integers(1, 4),
    largest=st.integers(8, 300),
    dense=SHAPES,
)
def test_every_number_lies_once_on_a_server_that_its_key_leads_to(size, servers, workers, largest, dense):
    widths = {"embedding.weight": 8, "linear.weight": 1}
    plan = make_plan(
        widths, dense, {"fixed": (3,)}, size=size, most=20, workers=workers, servers=servers, largest=largest
    )
    for table, width in widths.items():
        held = [i for piece in plan.of_table(table) for i in range(piece.number, size, plan.cut)]
        assert sorted(held) == list(range(size))
        for piece in plan.of_table(table):
            assert (piece.rows, piece.width) == (len(range(piece.number, size, plan.cut)), width)
            assert piece.rows * piece.width <= max(largest, width)
    assert {name: shape for each in plan.dense for name, shape in each.shapes.items()} == dense
    places = [*plan.pieces, *plan.dense, plan.fixed]
    keys = [key for each in places for key in (each.values, each.mail)] + [
        key for each in plan.dense for key in (each.control, each.squares)
    ]
    assert len(set(keys)) == len(keys)
    assert plan.exchange not in keys
    assert all(key * 9973 % servers == each.server for each in places for key in (each.values, each.mail))


@given(dense=SHAPES, servers=st.integers(1, 4))
def test_the_parts_of_a_server_lie_end_to_end(dense, servers):
    for each in make_plan({}, dense, {}, size=1, most=1, workers=1, servers=servers).dense:
        ends = 0
        for _, part, _ in each.parts():
            assert part.start == ends
            ends = part.stop
        assert each.count == max(1, ends)


def test_no_server_has_all_large_parameters():
    plan = make_plan({}, {f"w{i}": (100,) for i in range(6)}, {}, size=1, most=1, workers=1, servers=3)
    assert [each.count for each in plan.dense] == [200, 200, 200]
