"""What may be searched over is checked when the file is read; proposals lie in the space and keep their types."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.proposal import decode, distribution, encode, propose
from pnn_gluon.experiments.search_space import Range, SearchSpace
from pnn_gluon.models.declared import declared_models, options_of

BASE = """
name = "test"
data = { format = "csv", train = "a.csv", valid = "b.csv", test = "c.csv" }
[model]
name = "fnn"
[tune.space]
"""

SPACE = """
model.hidden = [[5], [4, 3], 6]
model.dropout = { low = 0, high = 0.5 }
model.trees = { low = 10, high = 50, step = 20 }
training.epochs = { low = 1, high = 9 }
training.learning_rate = { low = 1e-4, high = 1, log = true }
training.optimizer = ["adam", "sgd"]
training.lazy_update = [true, false]
training.patience = [3, 4]
"""


def load(folder, space):
    path = folder / "fit.toml"
    path.write_text(BASE + space)
    return load_fit_config(path)


def test_a_model_searches_over_the_options_that_it_takes(tmp_path):
    tune = load(tmp_path, SPACE).tune
    training = {"training.epochs", "training.learning_rate", "training.optimizer", "training.lazy_update"}
    assert tune.space_of("fnn").keys() == {"model.hidden", "model.dropout", "training.patience", *training}
    assert tune.space_of("lr").keys() == {"training.patience", *training}
    assert tune.space_of("gbdt").keys() == {"model.trees", "training.patience"}


def test_every_option_may_be_searched_over_but_those_that_decide_what_values_mean(tmp_path):
    space = SearchSpace.model_fields["space"].annotation
    assert set(space.model_fields["model"].annotation.model_fields) == set().union(*map(options_of, declared_models()))
    training = set(space.model_fields["training"].annotation.model_fields)
    assert training >= {"batch_size", "pretrain_epochs", "embedding_l2", "average_decay"}
    assert not training & {"metric", "loss", "seed"}


def test_whole_numbers_are_drawn_for_whole_options_only(tmp_path):
    space = load(tmp_path, SPACE).tune.space_of("fnn")
    assert space["training.epochs"].whole
    assert not space["model.dropout"].whole
    drawn = propose(space, [], maximize=True, seed=3, unpruned_epochs=0).options
    assert isinstance(drawn["training.epochs"], int)
    assert 0 < drawn["model.dropout"] < 0.5


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("model.dropuot = [0.1]", "tune.space.model.dropuot: unknown key, did you mean 'dropout'?"),
        (
            "training.learning_rat = [0.1]",
            "tune.space.training.learning_rat: unknown key, did you mean 'learning_rate'?",
        ),
        ("training.seed = [1]", "tune.space.training.seed: unknown key"),
        ("training.loss = ['log']", "tune.space.training.loss: unknown key"),
        ("data.min_count = [1]", "tune.space.data: unknown key"),
        (
            "model.dropout = 0.1",
            "tune.space.model.dropout: expected a list of values, or a table with `low` and `high`",
        ),
        ("model.dropout = []", "tune.space.model.dropout: Tuple should have at least 1 item"),
        ("model.dropout = { low = 0.1 }", "tune.space.model.dropout.high: required but missing"),
        ("model.dropout = { low = 0.1, hihg = 1 }", "hihg: unknown key, did you mean 'high'?"),
        ("model.dropout = { low = 0.5, high = 0.1 }", "`low` 0.5 must be below `high` 0.1"),
        ("model.dropout = { low = 0.1, high = 0.5, step = 0.3 }", "`high` 0.5 is not `low` 0.1 and a number of steps"),
        ("model.dropout = { low = 0.0, high = 0.5, log = true }", "`log` needs `low` above 0 and no `step`"),
        ("model.dropout = { low = 0.1, high = 2 }", "tune.space.model.dropout: 2: Input should be less than 1"),
        ("model.dropout = [0.1, 0.1]", "tune.space.model.dropout: 0.1 is there twice"),
        ("model.hidden = [[3], [0]]", "tune.space.model.hidden: [0]: Input should be greater than or equal to 1"),
        ("model.hidden = { low = 3, high = 5, step = 0.5 }", "tune.space.model.hidden: takes whole numbers"),
        (
            "training.epochs = { low = 1, high = 2.5 }",
            "tune.space.training.epochs: 2.5: Input should be a valid integer",
        ),
        ("training.optimizer = ['adm']", "tune.space.training.optimizer: 'adm': Input should be 'adam', 'adagrad'"),
        ("training.optimizer = { low = 1, high = 2 }", "tune.space.training.optimizer: 1: Input should be 'adam'"),
    ],
)
def test_an_error_names_the_option_and_what_is_allowed(tmp_path, space, expected):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, space)
    assert str(tmp_path) in str(caught.value)
    assert expected in str(caught.value)


numbers = st.integers(1, 10**6) | st.floats(1e-6, 1e6)
choices = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
lists = choices | st.lists(choices, max_size=3)


@settings(max_examples=200)
@given(st.lists(lists, min_size=1, max_size=5, unique_by=json.dumps).map(tuple))
def test_choices_come_back_from_optuna_as_they_went(some):
    each = distribution(some)
    for choice in some:
        encoded = encode(some, choice)
        again = decode(some, each.to_external_repr(each.to_internal_repr(encoded)))
        assert json.dumps(again) == json.dumps(choice)


@settings(max_examples=50)
@given(st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted), st.booleans(), st.integers(0, 2**31 - 1))
def test_numbers_drawn_lie_in_their_range(ends, log, seed):
    searched = Range(low=ends[0], high=ends[1], log=log)
    drawn = propose({"model.x": searched}, [], maximize=True, seed=seed, unpruned_epochs=0).options["model.x"]
    assert ends[0] <= drawn <= ends[1]
    assert isinstance(drawn, int) == searched.whole
    assert json.loads(json.dumps(drawn)) == drawn
