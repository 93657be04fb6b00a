"""The configuration of paper mode is checked once and says what is wrong where."""

import hashlib
import json
from pathlib import Path

import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.config import FitConfig, load_fit_config
from pnn_gluon.models.declared import declared_models

BASE = """
name = "test"
[data]
format = "csv"
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
[model]
name = "fnn"
embedding_size = 7
hidden = [5]
[training]
learning_rate = 0.1
[models.lr.training]
learning_rate = 0.3
epochs = 4
[models.deepfm]
model = { hidden = [3, 2] }
training = { batch_size = 10, metric = "log_loss" }
"""


def write(folder, text):
    path = folder / "fit.toml"
    path.write_text(text)
    return path


def load(folder, text=BASE, *arguments) -> FitConfig:
    return load_fit_config(write(folder, text), *arguments)


def test_a_model_has_its_own_options_over_the_defaults(tmp_path):
    config = load(tmp_path)
    assert config.plan("fnn").model.options == {"embedding_size": 7, "hidden": (5,)}
    assert config.plan("fnn").training.learning_rate == 0.1
    deepfm = config.plan("deepfm")
    assert deepfm.model.options == {"embedding_size": 7, "hidden": (3, 2)}
    assert (deepfm.training.learning_rate, deepfm.batch_size, deepfm.metric) == (0.1, 10, "log_loss")


def test_a_model_leaves_out_the_defaults_that_it_does_not_take(tmp_path):
    config = load(tmp_path)
    assert config.plan("lr").model.options == {}
    assert (config.plan("lr").training.learning_rate, config.plan("lr").training.epochs) == (0.3, 4)
    assert config.plan("fm").model.options == {"embedding_size": 7}


def test_early_stopping_looks_at_auc_or_with_squared_loss_at_rmse(tmp_path):
    squared = BASE + "[models.fm.training]\nloss = 'squared'\n"
    config = load(tmp_path, squared)
    assert (config.plan("fnn").metric, config.plan("fm").metric) == ("auc", "rmse")
    with pytest.raises(ConfigError, match="metric = 'log_loss' does not go with loss = 'squared'"):
        load(tmp_path, squared + "metric = 'log_loss'\n")


def test_a_command_overrides_the_options_of_the_chosen_model(tmp_path):
    sets = ["training.learning_rate=0.5", "model.hidden=[9]", "model.activation=tanh", "data.min_count=3"]
    config = load(tmp_path, BASE, "deepfm", sets)
    assert config.plan("deepfm").training.learning_rate == 0.5
    assert config.plan("deepfm").model.options == {"embedding_size": 7, "hidden": (9,), "activation": "tanh"}
    assert config.data.min_count == 3
    assert config.plan("fnn").training.learning_rate == 0.1
    assert load(tmp_path, BASE, None, ["training.epochs=8"]).plan("fnn").training.epochs == 8


@pytest.mark.parametrize("text", ["training.epochs", "epochs=3", "model.name=lr", "store.root=x", "models.lr.epochs=3"])
def test_an_override_of_another_form_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"--set .*: expected data\.KEY=VALUE"):
        load(tmp_path, BASE, None, [text])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[data]", "[date]\n[data]", "date: unknown key, did you mean 'data'?"),
        ("format", "min_cuont = 3\nformat", "data.min_cuont: unknown key, did you mean 'min_count'?"),
        ("learning_rate = 0.1", "learning_rat = 1", "training.learning_rat: unknown key, did you mean 'learning_rate'"),
        ("epochs = 4", "seed = 4", "models.lr.training.seed: unknown key"),
        ("epochs = 4", "optimizer = 'adm'", "models.lr.training.optimizer: Input should be 'adam'"),
        ("epochs = 4", "l1 = 1.0", "training of lr: l1 = 1.0 has no effect with optimizer 'adam'"),
        (
            "epochs = 4",
            "epochs = 0",
            "models.lr.training.epochs: Input should be greater than or equal to 1 (received 0)",
        ),
        ("hidden = [3, 2]", "hiden = [3]", "models.deepfm.model.hiden: unknown key, did you mean 'hidden'?"),
        ("hidden = [3, 2]", "filters = [3]", "models.deepfm.model: model 'deepfm' has no option 'filters'"),
        ("models.lr.", "models.lrr.", "models.lrr: there is no model 'lrr'"),
        ("hidden = [3, 2]", "name = 'fm'", "models: deepfm.model has its name from the table [models.deepfm]"),
        ("hidden = [5]", "filters = [5]", "model: model 'fnn' has no option 'filters'"),
        ('test = "test.csv"', "", "give `train`, `valid` and `test`, or one `file`"),
        ('test = "test.csv"', 'test = "t"\nfile = "x"', "give `train`, `valid` and `test`, or one `file`"),
        ('test = "test.csv"', 'test = "t"\nsplit_seed = 3', "`split` and `split_seed` have an effect with `file` only"),
        ('"csv"', '"libffm"\ndelimiter = ";"', "`label`, `delimiter` and `missing` have an effect with format = 'csv'"),
        ('"csv"', '"libffm"\nfields = [{ name = "a" }]', "a libffm file names its fields itself"),
        ('"csv"', '"libsvm"\nfields = [{ name = "a" }]', "`indices`: 'a': each field of libsvm, and nothing else, has"),
        ('"csv"', '"libsvm"\nindices = { a = [0, 9] }', "`indices`: 'a': each field of libsvm, and nothing else, has"),
        ('"csv"', '"libsvm"\nfields = [{ name = "a", first = 3 }]', "`first` and `last` go together"),
        (
            '"csv"',
            '"libsvm"\nfields = [{ name = "a", first = 3, last = 1 }]',
            "`indices`: a: the first index 3 is above the last 1",
        ),
        ('"csv"', '"libsvm"\nfields = [{ name = "a", first = 1, last = 2, column = "b" }]', "have an effect with csv"),
        (
            '"csv"',
            '"libsvm"\nfields = [{ name = "a", kind = "numeric" }]\nindices = { a = [0, 9] }',
            "numbers and `column` have an effect with csv",
        ),
        (
            '"csv"',
            '"csv"\nfields = [{ name = "a", first = 1, last = 2 }]',
            "`indices`: 'a': each field of libsvm, and nothing else, has",
        ),
        ('"csv"', '"csv"\nfields = [{ name = "a", edges = [1.0] }]', "data.fields.0.edges: unknown key"),
        ('"csv"', '"csv"\nfields = [{ name = "rowid" }]', "field name 'rowid' is taken; choose another"),
        ('"csv"', '"csv"\nfields = [{ name = "A" }]', "data.fields.0.name: String should match pattern"),
        ('"csv"', '"csv"\nfields = [{ name = "a" }, { name = "a" }]', "`fields` names a field twice"),
        ('"csv"', '"csv"\nfields = [{ name = "a", column = "Label" }]', "reads the label column 'label'"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_is_allowed(tmp_path, old, new, expected):
    path = write(tmp_path, BASE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_fit_config(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("model", "override", "expected"),
    [
        ("fnn", ["model.hidden=[]", "model.dropout=0.5"], "`dropout` has no effect without hidden layers"),
        ("lr", ["training.weight_decay=0.1"], "training of lr: weight_decay has no effect on model 'lr'"),
        ("fm", ["training.precision=x3"], "training of fm: precision has no effect on model 'fm', which as given has"),
        ("lr", ["training.pretrain_epochs=1"], "pretrain_epochs has no effect on model 'lr'"),
        ("fnn", ["model.adaptive_c=2.0"], "model 'fnn' has no option 'adaptive_c': its vectors all have one size"),
        ("fnn", ["model.hiden=[3]"], "models.fnn.model.hiden: unknown key, did you mean 'hidden'?"),
        ("fnn", ["training.epochs=0"], "models.fnn.training.epochs: Input should be greater than or equal to 1"),
    ],
)
def test_an_option_of_its_own_that_changes_nothing_on_a_model_is_refused(tmp_path, model, override, expected):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, BASE, model, override).plan(model)
    assert expected in str(caught.value)


def test_a_shared_option_that_changes_nothing_on_a_model_is_left_out(tmp_path):
    text = BASE.replace("[training]", "dropout = 0.2\n[training]\nweight_decay = 0.1\nprecision = 'f32'")
    config = load(tmp_path, text, "deepfm", ["model.hidden=[]"])
    assert config.plan("deepfm").model.options == {"embedding_size": 7, "hidden": ()}
    assert (config.plan("lr").training.weight_decay, config.plan("fnn").training.weight_decay) == (0.0, 0.1)
    assert config.plan("fm").training.precision == "auto"


def test_adaptive_sizes_may_be_set_beside_the_files_size(tmp_path):
    config = load(tmp_path, BASE, "kpnn", ["model.adaptive_c=2.0"])
    assert config.plan("kpnn").model.options_for((3, 10**6)) == {
        "embedding_size": 7,
        "hidden": (5,),
        "embedding_sizes": (3, 7),
    }


@pytest.mark.parametrize(
    "text", ["model = 5", "models = 5", "models = { fnn = 5 }", "models = { fnn = { model = 1 } }"]
)
@pytest.mark.parametrize("sets", [[], ["model.hidden=[4]", "data.min_count=2"]], ids=["file", "set"])
def test_a_table_that_is_none_is_told_plainly(tmp_path, text, sets):
    tables = BASE[: BASE.index("[model]")]
    with pytest.raises(ConfigError, match="model"):
        load(tmp_path, f"{text}\n{tables}" + ("" if "model =" in text[:7] else "[model]\nname = 'fnn'\n"), None, sets)


def test_trees_have_options_of_their_own(tmp_path):
    config = load(tmp_path, BASE + "[models.gbdt]\nmodel = { trees = 30 }\ntraining = { metric = 'log_loss' }\n")
    plan = config.plan("gbdt")
    assert plan.summary() == {
        "model": {"name": "gbdt", "trees": 30},
        "training": {"metric": "log_loss", "patience": 10},
    }
    assert load(tmp_path).plan("gbdt").metric == "auc"
    with pytest.raises(ConfigError, match="training of gbdt: epochs has no effect on gbdt; these have: metric, patien"):
        load(tmp_path, BASE + "[models.gbdt.training]\nepochs = 3\n")


def test_shares_of_a_split_add_up_to_1(tmp_path):
    files = 'train = "train.csv"\nvalid = "valid.csv"\ntest = "test.csv"'
    assert load(tmp_path, BASE.replace(files, 'file = "a"\nsplit = [0.6, 0.2, 0.2]')).data.split == (0.6, 0.2, 0.2)
    with pytest.raises(ConfigError, match=r"`split`: the shares must add up to 1, not 0\.9"):
        load(tmp_path, BASE.replace(files, 'file = "a"\nsplit = [0.6, 0.2, 0.1]'))


def test_all_that_decides_a_result_is_in_the_fingerprint_and_no_folder(tmp_path):
    one = load(tmp_path)
    assert one.fingerprint("fnn") == load(tmp_path, BASE, None, ["data.folder=elsewhere"]).fingerprint("fnn")
    assert one.fingerprint("fnn") == load(tmp_path, BASE, "lr", ["training.epochs=9"]).fingerprint("fnn")
    sets = ["training.epochs=9", "training.metric=log_loss", "model.hidden=[4]", "data.min_count=2", "data.label=y"]
    others = [load(tmp_path, BASE, None, [each]).fingerprint("fnn") for each in sets]
    assert len({one.fingerprint("fnn"), one.fingerprint("lr"), *others}) == 2 + len(sets)


def test_fields_as_earlier_releases_spelt_them_are_those_of_now(tmp_path):
    def fields(text):
        data = load(tmp_path, BASE.replace('"csv"', text, 1)).data
        return data.fields, data.indices

    now = '"csv"\nfields = [{ name = "a", kind = "categorical" }, { name = "b", kind = "multi", max_values = 3 }]'
    assert fields('"csv"\nfields = [{ name = "a" }, { name = "b", separator = "|", max_values = 3 }]') == fields(now)
    svm = (
        '"libsvm"\nfields = [{ name = "a" }, { name = "b", kind = "multi", max_values = 3 }]\n'
        "indices = { a = [0, 4], b = [5, 9] }"
    )
    old = (
        '"libsvm"\nfields = [{ name = "a", first = 0, last = 4 }, { name = "b", first = 5, last = 9, max_values = 3 }]'
    )
    assert fields(old) == fields(svm)


@pytest.mark.parametrize("name", ["frappe", "frappe_squared", "frappe_pretrained"])
def test_the_ready_configurations_are_valid_for_every_model(name):
    config = load_fit_config(Path(__file__).parents[2] / "conf" / "experiments" / f"{name}.toml")
    assert config.name == name
    assert {config.plan(model).model.name for model in declared_models()} == set(declared_models())


def test_options_that_differ_from_their_defaults_decide_the_fingerprint_and_no_others(tmp_path):
    plan = load(tmp_path, BASE, None, ["training.epochs=10", "training.metric=auc"]).plan("fnn")
    assert plan.differences() == {
        "model": {"name": "fnn", "embedding_size": 7, "hidden": [5]},
        "training": {"learning_rate": 0.1},
    }
    trees = load(tmp_path, BASE, "gbdt", ["training.patience=10", "model.depth=3"])
    assert trees.plan("gbdt").differences() == {"model": {"name": "gbdt", "depth": 3}, "training": {}}
    squared = load(tmp_path, BASE, None, ["training.loss=squared"]).plan("fnn")
    assert squared.differences()["training"] == {"learning_rate": 0.1, "loss": "squared"}
    content = {"data": {"format": "csv", "train": "train.csv", "valid": "valid.csv", "test": "test.csv"}}
    text = json.dumps({**content, **plan.differences()}, sort_keys=True)
    assert load(tmp_path).fingerprint("fnn") == hashlib.sha256(text.encode()).hexdigest()


FINGERPRINTS = {
    ("frappe", "lr"): "41041f1eeb1e9bf75067cf9080030a0796a1fe91f09f746d74b06c310cd9a385",
    ("frappe", "ipnn"): "49a206defaeb2041268add21b100876d794fb5ba23465a8d7c17eb2ff591c8a1",
    ("frappe", "pin"): "e2d7c17ae5fdd583e23b880d7b72d2f14e3ae2b6f726a5a2418644c65a83f92c",
    ("frappe", "gbdt"): "5536702f4dde211d458b585c50efbf6ea26a921f6ac68e067d2a31b510668d7d",
    ("frappe_squared", "nfm"): "6181f89840e8c6e1c82c5d4fc6d79531d316acc899b79407809ff8a9a7d1d0b1",
    ("frappe_pretrained", "wdl"): "60de8eeb0451bf0a6beaab51e6c54da5e5637dfb690fa26cbb4de29da36d204e",
}
"""Of the ready configurations: what was measured with them is found again by these."""


@pytest.mark.parametrize(("name", "model"), FINGERPRINTS)
def test_fingerprints_of_the_ready_configurations_stay(name, model):
    config = load_fit_config(Path(__file__).parents[2] / "conf" / "experiments" / f"{name}.toml")
    assert config.fingerprint(model) == FINGERPRINTS[name, model]
