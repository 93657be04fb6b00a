import dataclasses

import pytest

from benchmarks.arithmetic import MODELS, Network, step_gflop
from pnn_gluon.models.registry import model_options

SMALL = Network(
    fields=3,
    embedding_size=2,
    hidden=(4,),
    subnet_hidden=5,
    subnet_outputs=2,
    cross_layers=2,
    feature_maps=(4, 3),
    attention_layers=2,
    heads=2,
    head_size=3,
)
MLP_OF_VECTORS = 3 * (6 * 4 + 4)

BY_HAND = {
    "lr": 3,
    "fm": 3 + 3 * 6,
    "ffm": 3 + 3 * 3 * 2,
    "deepfm": 3 + 18 + MLP_OF_VECTORS,
    "ipnn": 3 * (3 * 2) + 3 * (9 * 4 + 4),  # 6 numbers and 3 products into 4 units into 1
    "kpnn": 3 * (3 * (2 * 2 + 2)) + 3 * (9 * 4 + 4),
    "pin": 3 * 3 * (2 + 6 * 5 + 5 * 2) + 3 * (6 * 4 + 4),  # 3 pairs of 2 outputs
    "dcn": 3 * (2 * 6 + 6 + 6) + MLP_OF_VECTORS,
    # 2 numbers: 9 products into 4 maps that are summed; 3 fields against 4 maps, their product
    "xdeepfm": 3 + 3 * 2 * ((9 + 9 * 4 + 4) + (3 * 4 + 3)) + MLP_OF_VECTORS,
    # 3 fields from 2, then from 6 numbers to 4 times 6; scores and sums of 3 x 3 x 6; 18 numbers to one
    "autoint": 3 * ((4 * 3 * 2 * 6 + 2 * 54) + (4 * 3 * 6 * 6 + 2 * 54) + 18) + MLP_OF_VECTORS,
}


@pytest.mark.parametrize("model", MODELS)
def test_counts_what_was_counted_by_hand(model: str) -> None:
    assert step_gflop(model, SMALL, rows=10) == pytest.approx(2e-9 * 10 * BY_HAND[model])


def test_every_dense_layer_counts_three_times() -> None:
    wide = Network(fields=39, embedding_size=20, hidden=(700, 700))
    dense = (39 * 20 + 741) * 700 + 700 * 700 + 700
    assert step_gflop("ipnn", wide, rows=2000) == pytest.approx(2e-9 * 2000 * 3 * (dense + 741 * 20))


@pytest.mark.parametrize("model", MODELS)
def test_has_the_defaults_of_the_models(model: str) -> None:
    ours = {field.name: field.default for field in dataclasses.fields(Network) if field.name != "hidden"}
    for name, value in model_options(model).items():
        if name in ours and ours[name] is not dataclasses.MISSING:
            assert ours[name] == value
