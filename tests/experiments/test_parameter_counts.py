import json
from subprocess import run
from sys import executable

import pytest

from jobs.commands.count_parameters import model_options
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.parameter_counts import ParameterCounts, count_parameters, paper_table

TABLE_10 = {
    "lr": 1,
    "fm": 21,
    "afm": 21,
    "ffm": 40,
    "kfm": 21.3,
    "nifm": 22.22,
    "fnn": 22.51,
    "ccpm": 20.23,
    "deepfm": 23.51,
    "ipnn": 23,
    "kpnn": 23.3,
    "pin": 26.48,
}
"""As printed: whole millions, tenths or hundredths."""


def digits(number):
    return len(str(number).partition(".")[2])


def test_weights_are_those_of_the_papers_table_10():
    found = paper_table()
    assert {name: round(found[name], digits(printed)) for name, printed in TABLE_10.items()} == TABLE_10


def test_counts_of_a_small_network_by_hand():
    options = {"embedding_size": 2, "hidden": (3,), "activation": "prelu", "normalization": "layer"}
    # table 7 x 2, dense (2 fields x 2) x 3 and 3 x 1, biases 3 + 1, gain and shift 3 + 3, slopes 3
    assert count_parameters("fnn", 7, 2, options) == ParameterCounts(14 + 12 + 3, 4, 6, 3)


def test_running_statistics_and_constants_are_no_parameters():
    options = {"embedding_size": 2, "hidden": (3,), "normalization": "batch"}
    assert count_parameters("deepfm", 7, 2, options) == ParameterCounts(7 + 14 + 12 + 3, 1 + 4, 6, 0)


def command(*arguments):
    return run([executable, "-m", "jobs", "count-parameters", *arguments], capture_output=True, text=True)


def test_command_prints_one_line_of_json():
    done = command("--model", "ipnn", "--ids", "100", "--fields", "3", "--hidden", "5,4", "--embedding-size", "2")
    line = json.loads(done.stdout)
    assert line["weights"] == 200 + (6 + 3) * 5 + 20 + 4
    assert line["total"] == line["weights"] + line["biases"] + line["normalization"]
    assert line["options"] == {"embedding_size": 2, "hidden": [5, 4]}


def test_command_prints_the_papers_table():
    done = command("--paper-table")
    assert json.loads(done.stdout) == paper_table()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "ipn"], "did you mean 'ipnn'"),
        (["--model", "gbdt"], "known once it is trained"),
        (["--model", "fm", "--hidden", "3"], "model 'fm' has no option 'hidden'"),
        (["--model", "fm", "--embedding-size", "ten"], "model.embedding_size"),
        (["--model", "fm", "--embedding-size"], "expected --name value"),
        ([], "give either --model NAME or --paper-table"),
    ],
)
def test_command_names_what_is_wrong(arguments, expected):
    done = command(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr


def test_sizes_by_the_ids_of_each_field_can_not_be_counted():
    with pytest.raises(ConfigError, match="--adaptive-c needs the ids of each field: give --embedding-sizes"):
        model_options("kpnn", ["--embedding-size", "8", "--adaptive-c", "2"])


def test_unknown_models_are_refused():
    with pytest.raises(ConfigError, match="no model"):
        count_parameters("mlp", 10, 2, {})
