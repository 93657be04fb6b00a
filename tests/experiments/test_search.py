"""A search goes on where it was stopped, keeps every trial, and never looks at test rows."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from jobs.commands.tune import command
from pnn_gluon.config import CategoricalField
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.experiments import dataset, fit
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.dataset import Dataset, Examples
from pnn_gluon.experiments.encoded import encode_parts
from pnn_gluon.experiments.proposal import propose
from pnn_gluon.experiments.rows import Rows
from pnn_gluon.experiments.search import ATTEMPTS, Search, search
from pnn_gluon.experiments.search_space import SearchSpace
from pnn_gluon.experiments.trial_report import render_trials, summarize_trials
from pnn_gluon.experiments.trials import Journal
from pnn_gluon.file_lock import file_lock

CONFIG = """
name = "generated"
data = { format = "csv", train = "train.csv", valid = "valid.csv", test = "test.csv" }
[model]
name = "fnn"
hidden = [4]
embedding_size = 2
[training]
epochs = 2
patience = 2
batch_size = 40
[models.gbdt.model]
trees = 6
[tune.space]
model.hidden = [[4], [6, 3]]
model.dropout = { low = 0.0, high = 0.8 }
model.depth = { low = 1, high = 4 }
training.learning_rate = { low = 1e-3, high = 0.3, log = true }
"""


@pytest.fixture
def folder(tmp_path):
    """A configuration and its three files; the label depends on both columns."""
    (tmp_path / "fit.toml").write_text(CONFIG)
    for seed, (name, rows) in enumerate({"train": 300, "valid": 120, "test": 60}.items()):
        a, b = np.random.default_rng(seed).integers(0, 6, (2, rows))
        lines = [f"{int((i + j) % 3 == 0)},{i},{j}" for i, j in zip(a, b, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["label,a,b", *lines]) + "\n")
    return tmp_path


def examples(rows):
    ids = np.random.default_rng(rows).integers(1, 9, (rows, 2)).astype(np.int32)
    return Examples(ids, (ids.sum(axis=1) % 2).astype(np.float32))


def two_fields():
    """A map of 9 ids."""
    fields = CategoricalField(name="a"), CategoricalField(name="b")
    table = pa.table({"a": ["1", "2"], "b": ["1", "2"]})
    return encode_parts([Rows(np.zeros(2, np.float32), fields, table)], 1)[0]


ROWS = Dataset(two_fields(), examples(40), examples(20), examples(10))


def pretended(plan, data, seed, watch=None, level=None):
    """Training at no cost: the epochs' values are a function of the options."""
    value = 0.9 - (np.log10(plan.training.learning_rate) + 1.5) ** 2 / 10 - plan.model.options["dropout"] / 5
    for epoch in range(6):
        watch({"auc": float(value - 0.1 / (epoch + 1)), "log_loss": float(1 - value)})


@pytest.fixture
def pretend(monkeypatch):
    """Searches train by `pretended`, or by what they are given."""

    def put(train=pretended):
        monkeypatch.setattr(fit, "train_model", train)

    put()
    return put


def searched(folder, journal="a.jsonl", trials=14, seed=1, rows=ROWS, change=lambda text: text):
    path = folder / "fit.toml"
    path.write_text(change(CONFIG))
    return search(Search(load_fit_config(path), "fnn", rows, seed), folder / journal, trials)


def kept(journal):
    """All that decides what comes next, and what was found."""
    return [dataclasses.replace(trial, seconds=0.0) for trial in journal.trials]


def test_a_search_killed_in_a_trial_makes_the_trials_of_one_that_was_not(folder, pretend):
    whole, calls = searched(folder), []

    def killed(*given):
        if len(calls) == 11:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(given)
        pretended(*given)

    child = os.fork()
    if not child:
        pretend(killed)
        searched(folder, "b.jsonl")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    broken = Journal.read(folder / "b.jsonl")
    assert (len(broken.trials), broken.begun) == (11, 1)
    again = searched(folder, "b.jsonl")
    assert kept(again) == kept(whole)
    assert [trial.number for trial in again.trials] == list(range(14))


def test_a_search_that_is_prolonged_makes_the_trials_of_a_long_one(folder, pretend):
    searched(folder, "b.jsonl", trials=5)
    assert kept(searched(folder, "b.jsonl")) == kept(searched(folder))
    assert len(searched(folder, trials=3).trials) == 14


def test_a_line_cut_off_while_it_was_written_does_not_count(folder, pretend):
    whole = searched(folder)
    text = (folder / "a.jsonl").read_bytes()
    (folder / "a.jsonl").write_bytes(text[:-20])
    assert len(Journal.read(folder / "a.jsonl").trials) == 13
    assert kept(searched(folder)) == kept(whole)
    (folder / "a.jsonl").write_bytes(text[:30])
    assert kept(searched(folder)) == kept(whole)


def test_a_trial_that_ends_its_process_each_time_has_failed(folder, pretend):
    first = searched(folder, trials=1)
    other = Journal.open(folder / "b.jsonl", first.search)
    for _ in range(ATTEMPTS):
        other.begin(first.trials[0].options)
    found = searched(folder, "b.jsonl", trials=2)
    assert [trial.state for trial in found.trials] == ["failed", "complete"]
    assert found.trials[0].options == first.trials[0].options
    assert found.trials[0].reason == "began 3 times, and each time its process ended before it did"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_trial_is_no_attempt(folder, pretend, end):
    whole = searched(folder, trials=3)

    def interrupted(*given):
        raise end

    for _ in range(ATTEMPTS + 1):
        pretend(interrupted)
        with pytest.raises(end):
            searched(folder, "b.jsonl", trials=3)
    assert Journal.read(folder / "b.jsonl").begun == 0
    pretend()
    assert kept(searched(folder, "b.jsonl", trials=3)) == kept(whole)


def test_a_search_that_is_asked_to_stop_notes_the_interruption(folder, pretend, monkeypatch):
    def asked(*given):
        signal.raise_signal(signal.SIGTERM)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    pretend(asked)
    monkeypatch.setattr(dataset, "load_dataset", lambda *given: ROWS)
    (folder / "fit.toml").write_text(CONFIG)
    try:
        with pytest.raises(SystemExit) as caught:
            command(folder / "fit.toml", model="fnn", journal=folder / "a.jsonl")
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGHUP), before, strict=True):
            signal.signal(number, handler)
    assert caught.value.code == 128 + signal.SIGTERM
    assert (folder / "a.jsonl").read_text().splitlines()[-1] == '{"interrupted": 0}'


def test_the_journal_is_lines_of_json_with_every_trial(folder, pretend):
    found = searched(folder)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (folder / "a.jsonl").open()]
    assert [next(iter(line)) for line in lines] == ["search", *["begun", "trial"] * 14]
    assert [line["trial"]["options"] for line in lines[2::2]] == [trial.options for trial in found.trials]
    assert lines[2]["trial"]["value"] == max(lines[2]["trial"]["validations"])
    assert sorted(path.name for path in folder.glob("a.jsonl*")) == ["a.jsonl"]


def test_the_seed_decides_the_proposals(folder, pretend):
    one, other = searched(folder, trials=2), searched(folder, "b.jsonl", trials=2, seed=2)
    assert one.trials[0].options != other.trials[0].options
    assert one.trials[0].options != one.trials[1].options


def test_later_proposals_are_better_than_random_ones(folder, pretend):
    values = [trial.value for trial in searched(folder, trials=40).trials]
    assert np.mean(values[20:]) > np.mean(values[:10]) + 0.05


@pytest.mark.parametrize(("error", "reason"), [(PnnError("diverged"), "diverged"), (MemoryError(), "out of memory")])
def test_a_trial_that_fails_is_kept_with_its_reason(folder, pretend, error, reason):
    def diverging(plan, data, seed, watch, level):
        watch({"auc": float("nan")})
        if plan.model.options["dropout"] > 0.3:
            raise error
        pretended(plan, data, seed, watch, level)

    pretend(diverging)
    found = searched(folder)
    failed = [trial for trial in found.trials if trial.options["model.dropout"] > 0.3]
    assert 0 < len(failed) < 14
    assert {(trial.state, trial.value, trial.reason, trial.validations) for trial in failed} == {
        ("failed", None, reason, ())
    }
    assert found.best().value == max(trial.value for trial in found.trials if trial.state == "complete")
    assert summarize_trials(found)["failed"] == len(failed)


def test_options_that_do_not_go_together_fail_with_their_reason(folder):
    optimizer = 'training.optimizer = ["adagrad"]\ntraining.lazy_update = [false]\n'
    found = searched(folder, trials=2, change=lambda text: text + optimizer)
    assert "optimizer 'adagrad' always updates lazily" in found.trials[1].reason
    with pytest.raises(PnnError, match=r"none of 2 trials is complete: .*always updates lazily"):
        summarize_trials(found)


def test_hopeless_trials_are_stopped_early_and_kept(folder, pretend):
    def prune(text):
        return text.replace("[tune.space]", "[tune]\nprune = true\n[tune.space]")

    found = searched(folder, trials=30, change=prune)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert len(pruned) == summarize_trials(found)["pruned"] > 3
    assert all(trial.number >= 5 and trial.value is None for trial in pruned)
    assert {len(trial.validations) for trial in pruned} <= {4, 5, 6}
    for trial in pruned:
        earlier = [each for each in found.trials[: trial.number] if each.state == "complete"]
        epoch = len(trial.validations) - 1
        assert max(trial.validations) < np.median([each.validations[epoch] for each in earlier])
    searched(folder, "b.jsonl", trials=17, change=prune)
    assert kept(searched(folder, "b.jsonl", trials=30, change=prune)) == kept(found)
    assert {trial.state for trial in searched(folder, "c.jsonl", trials=30).trials} == {"complete"}


def test_the_smallest_log_loss_is_the_best(folder, pretend):
    found = searched(folder, change=lambda text: text.replace("epochs = 2", 'epochs = 2\nmetric = "log_loss"'))
    assert found.best().value == min(trial.value for trial in found.trials)
    assert summarize_trials(found)["metric"] == "log_loss"


def test_options_that_were_tried_are_not_trained_again(folder, pretend):
    calls = []
    pretend(lambda *given: (calls.append(given), pretended(*given)))
    space = CONFIG[: CONFIG.index("[tune.space]")] + "[tune.space]\nmodel.dropout = [0.1, 0.2]\n"
    found = searched(folder, change=lambda text: space)
    assert len(calls) == 2
    assert [trial.number for trial in found.trials] == list(range(14))
    assert len({(trial.options["model.dropout"], trial.value) for trial in found.trials}) == 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("high = 0.8", "high = 0.7", "space model.dropout high"),
        ("[[4], [6, 3]]", "[[6, 3], [4]]", "space model.hidden"),
        ("epochs = 2", "epochs = 3", "fixed training.epochs"),
        ("embedding_size = 2", "embedding_size = 3", "fixed model.embedding_size"),
        ("[tune.space]", "[tune]\nprune = true\n[tune.space]", "prune"),
    ],
)
def test_the_journal_of_another_search_is_refused(folder, pretend, old, new, expected):
    searched(folder, trials=1)
    with pytest.raises(ConfigError) as caught:
        searched(folder, trials=2, change=lambda text: text.replace(old, new))
    assert f"another search (what differs first: {expected}); take another --journal" in str(caught.value)


def test_other_rows_and_seeds_are_another_search(folder, pretend):
    searched(folder, trials=1)
    with pytest.raises(ConfigError, match="what differs first: rows valid"):
        searched(folder, trials=2, rows=dataclasses.replace(ROWS, valid=examples(21)))
    with pytest.raises(ConfigError, match="what differs first: seed"):
        searched(folder, trials=2, seed=2)


def test_found_options_may_be_put_into_the_file_and_the_search_goes_on(folder, pretend):
    found = searched(folder, trials=4)
    text = summarize_trials(found)["toml"]
    again = searched(folder, trials=5, change=lambda config: config + text)
    assert kept(again)[:4] == kept(found)
    config = load_fit_config(folder / "fit.toml")
    assert config.plan("fnn") == config.plan("fnn", found.best().options)


def test_a_second_process_is_refused(folder, pretend):
    with (
        file_lock(folder / "a.jsonl"),
        pytest.raises(ConfigError, match=r"a\.jsonl: another process searches with this journal"),
    ):
        searched(folder)
    assert len(searched(folder, trials=1).trials) == 1


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"begun": 7}', '{"trial": {"number": 2}}', '{"trial": 3}'])
def test_a_damaged_journal_is_refused_with_its_line(folder, pretend, line):
    searched(folder, trials=2)
    with (folder / "a.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(InputError, match=r"a\.jsonl line 6: expected a line of `pnn-gluon tune`"):
        searched(folder)


def test_a_search_without_a_space_is_refused(folder):
    with pytest.raises(ConfigError, match="tune: required but missing; declare what to search over in"):
        searched(folder, change=lambda text: text[: text.index("[tune.space]")])
    space = "[tune.space]\nmodel.depth = [3]\n"
    with pytest.raises(ConfigError, match=r"tune\.space: fnn takes none of these options"):
        searched(folder, change=lambda text: text[: text.index("[tune.space]")] + space)


@pytest.mark.parametrize("model", ["fnn", "gbdt"])
def test_no_test_row_is_looked_at_and_a_value_is_that_of_fit(folder, model):
    config = load_fit_config(folder / "fit.toml")
    unseen = dataclasses.replace(ROWS, test=None)
    found = search(Search(config, model, unseen, 3), folder / "a.jsonl", 2)
    for trial in found.trials:
        run, _ = fit.fit(config.plan(model, trial.options), ROWS, 3)
        assert trial.value == pytest.approx(run.valid["auc"], rel=1e-6)
        assert len(trial.validations) == run.epochs


@pytest.mark.parametrize(
    ("model", "options", "drawn"),  # what earlier releases drew: journals of theirs go on as they would have
    [
        (
            "fnn",
            {
                "dropout": {"low": 0.0, "high": 0.9},
                "activation": ["relu", "tanh", "elu"],
                "hidden": [[4], [6, 3], [5]],
                "embedding_size": {"low": 1, "high": 64},
            },
            {"embedding_size": 20, "hidden": [4], "activation": "tanh", "dropout": 0.01167932407098502},
        ),
        (
            "gbdt",
            {"bins": {"low": 2, "high": 512}, "depth": {"low": 1, "high": 12}, "trees": {"low": 10, "high": 500}},
            {"trees": 161, "depth": 7, "bins": 52},
        ),
    ],
)
def test_a_seed_draws_the_same_options_in_every_release(model, options, drawn):
    space = SearchSpace.model_validate({"space": {"model": options}}).space_of(model)
    found = propose(space, [], maximize=True, seed=1, unpruned_epochs=3).options
    assert found == {f"model.{option}": value for option, value in drawn.items()}
    assert [key.partition(".")[2] for key in found] == list(drawn)


def test_the_command_prints_the_best_trial_and_lists_all(folder, capsys, caplog, monkeypatch):
    monkeypatch.chdir(folder)
    caplog.set_level("INFO", "pnn_gluon")
    command(folder / "fit.toml", trials=3)
    out = capsys.readouterr().out
    found = json.loads(out, parse_constant=pytest.fail)
    assert out.count("\n") == 1
    assert (found["model"], found["metric"], found["trials"], found["complete"]) == ("fnn", "auc", 3, 3)
    journal = Journal.read(folder / "work" / "tune" / "generated-fnn.jsonl")
    best = max(journal.trials, key=lambda trial: trial.value)
    assert (found["trial"], found["value"], found["options"]) == (best.number, best.value, best.options)
    assert f"trial 2: {journal.trials[2].value:.5f} (hidden [" in caplog.text
    assert "epoch" not in caplog.text
    command(folder / "fit.toml", listed=True)
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [(str(n), "complete") for n in range(3)]
    assert [row[3].strip() for row in rows] == [f"{trial.value:.5f}" for trial in journal.trials]
    assert "learning_rate 0." in rows[0][4]


def test_the_table_says_why_a_trial_has_no_value(folder, pretend):
    def diverging(plan, data, seed, watch, level):
        raise PnnError("[diverged]")

    pretend(diverging)
    table = render_trials(searched(folder, trials=1))
    assert "[diverged]" in str(next(iter(table.columns[3].cells)))


def test_optuna_is_loaded_by_a_search_only():
    modules = "jobs.cli, pnn_gluon.experiments.search, pnn_gluon.experiments.fit, pnn_gluon.experiments.trial_report"
    code = f"import sys, {modules}; print('optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
