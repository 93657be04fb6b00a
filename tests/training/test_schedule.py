import math

import numpy as np
import pytest
from training_cases import Source, model, problem, same, source, values_of

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx
from pnn_gluon.training.history import EpochRecord
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.schedule import learning_rate

RATE = 0.5
PLAN = TrainingOptions(epochs=4, learning_rate=RATE)


def epochs(*validations, steps=10):
    return [EpochRecord(i, steps, 100, 0.5, value) for i, value in enumerate(validations)]


@pytest.mark.parametrize(("done", "batch", "share"), [(0, 0, 0.0), (0, 5, 0.125), (2, 0, 0.5), (3, 9, 0.975)])
@pytest.mark.parametrize("final", [0.0, 0.2])
def test_linear_and_cosine_go_from_the_rate_to_its_final_share(done, batch, share, final):
    history = epochs(*[None] * done)
    linear = learning_rate(PLAN.replaced(schedule="linear", final_rate_share=final), history, batch, 10)
    assert linear == pytest.approx(RATE + (RATE * final - RATE) * share)
    cosine = learning_rate(PLAN.replaced(schedule="cosine", final_rate_share=final), history, batch, 10)
    assert cosine == pytest.approx(RATE * final + RATE * (1 - final) * 0.5 * (1 + math.cos(math.pi * share)))


@pytest.mark.parametrize(
    ("validations", "drops"),
    [((), 0), ((3.0,), 0), ((3.0, 2.0, 1.0), 0), ((3.0, 3.0), 1), ((1.0, 2.0, 1.5), 2), ((2.0, 3.0, 1.0, 1.5), 2)],
)
def test_plateau_lowers_the_rate_after_each_epoch_that_is_not_the_best(validations, drops):
    options = PLAN.replaced(schedule="plateau", patience=9)
    history = epochs(*validations)
    assert learning_rate(options, history, 3, None) == pytest.approx(RATE * 0.1**drops)
    assert learning_rate(options.replaced(plateau_factor=0.5), history, 3, None) == RATE * 0.5**drops


def test_warm_up_rises_over_the_first_steps_of_the_run_across_epochs():
    options = PLAN.replaced(warmup_steps=4)
    rates = [learning_rate(options, epochs(*[None] * done, steps=3), b, None) for done in range(2) for b in range(3)]
    np.testing.assert_allclose(rates, RATE * np.array([0.25, 0.5, 0.75, 1, 1, 1]))


def test_warm_up_multiplies_the_schedule():
    options = PLAN.replaced(schedule="linear", warmup_steps=10)
    assert learning_rate(options, [], 4, 10) == pytest.approx(RATE * 0.5 * 0.9)


def test_without_schedule_or_warm_up_the_rate_is_the_option_to_the_bit():
    assert learning_rate(PLAN.replaced(learning_rate=0.1), epochs(1.0, 2.0), 7, None) == 0.1


def rates_of(options, validate=None, rows=96):
    """The learning rates that training takes its steps with."""
    seen, original = [], mx.gluon.Trainer.step

    def step(self, *args, **kwargs):
        seen.append(self.learning_rate)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx.gluon.Trainer, "step", step)
        train(model("lr"), Source(*problem(rows), 32), options, validate=validate)
    return seen


def test_each_step_is_taken_with_its_rate():
    options = TrainingOptions(epochs=2, learning_rate=1.0, schedule="linear", final_rate_share=0.4, warmup_steps=2)
    expected = np.array([0.5, 1, 1, 1, 1, 1]) * (1 - 0.6 * np.arange(6) / 6)
    np.testing.assert_allclose(rates_of(options), expected)


def test_a_plateau_of_the_validation_lowers_the_rate_of_the_next_epoch():
    judged = iter([1.0, 2.0, 3.0, 0.5, 0.1])
    options = TrainingOptions(epochs=5, learning_rate=1.0, schedule="plateau", plateau_factor=0.5, patience=3)
    rates = rates_of(options, lambda _: next(judged), rows=32)
    assert rates == [1, 1, 0.5, 0.25, 0.25]


def test_epochs_on_a_plateau_count_against_patience():
    judged = iter([1.0, 2.0, 3.0, 0.5])
    options = TrainingOptions(epochs=5, schedule="plateau", patience=2)
    assert len(rates_of(options, lambda _: next(judged), rows=32)) == 3


@pytest.mark.parametrize("choice", [{"schedule": "linear"}, {"warmup_steps": 5}], ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "groupadagrad"])
def test_every_optimizer_follows_the_schedule(optimizer, choice):
    def run(**options):
        net = model("fm")
        train(net, source(), TrainingOptions(epochs=1, optimizer=optimizer, learning_rate=0.02, **options))
        return values_of(net)

    assert not same(run(), run(**choice))
    assert same(run(**choice), run(**choice))


def test_plateau_without_validation_is_refused():
    with pytest.raises(ConfigError, match="schedule 'plateau' has no effect without validation"):
        train(model("lr"), source(), TrainingOptions(epochs=3, patience=2, schedule="plateau"))
