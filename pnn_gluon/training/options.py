"""What decides a training run: every option once, for the library, the daily pipeline and paper mode."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from pnn_gluon.errors import ConfigError
from pnn_gluon.section import Section

OptimizerName = Literal["adam", "adagrad", "ftrl", "groupadagrad", "sgd"]
LossName = Literal["log", "squared"]
ScheduleName = Literal["constant", "linear", "cosine", "plateau"]
Device = Literal["cpu", "gpu"]
KVStore = Literal["device", "local", "none", "dist_sync", "dist_device_sync"]
DISTRIBUTED = ("dist_sync", "dist_device_sync")
"""Kinds of `kvstore` with processes of their own for the parameters; see `pnn_gluon.cluster`."""
PrecisionName = Literal["auto", "f32", "x3", "bf16"]

Seed = Annotated[int, Field(ge=0, lt=2**31)]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]
PretrainEpochs = Annotated[int, Field(ge=0, le=1000)]
UnseenShare = Annotated[float, Field(ge=0, le=0.5)]

_Positive = Annotated[float, Field(gt=0)]
_Strength = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(gt=0, lt=1)]

_WITH_EPSILON = ("adam", "adagrad", "groupadagrad")


class FittingOptions(Section):
    """How a network is fitted: what the library, `[training]` of a pipeline and of paper mode have in common.

    Attributes:
        epochs: Largest number of passes.
        optimizer: `adam`, `adagrad`, `ftrl` (FTRL-Proximal), `groupadagrad` (AdaGrad with one number a row) or `sgd`;
            see `pnn_gluon.training.optimizer`.
        learning_rate: Step size; FTRL's alpha.
        schedule: How the learning rate changes: `constant`, `linear` or `cosine` (down to `final_rate_share` of it
            over all epochs), `plateau` (times `plateau_factor` after each epoch without a better validation, which
            counts against `patience` all the same); see `pnn_gluon.training.schedule`.
        final_rate_share: For linear and cosine: the share of the learning rate that is left at the end.
        plateau_factor: For plateau; None for 0.1.
        warmup_steps: Steps over which the learning rate rises linearly at the start of the run; 0 for none.
        lazy_update: For adam and sgd: whether a step leaves rows of ids that are not in the batch alone. Without it
            moments and `embedding_l2` act on the whole table each step, at its cost. AdaGrad and FTRL are always lazy.
        epsilon: Adam's and AdaGrad's number against division by zero; None for 1e-8 (adam), 1e-7 (adagrad),
            1e-5 (groupadagrad).
        l1: FTRL's L1 strength.
        embedding_l2: L2 strength on embedding and linear rows, the `l2 / 2 |w|^2` of each distinct row of a batch
            once ([PNN] 4.4.1 "sparse regularization"), or of the whole table without `lazy_update`.
        weight_decay: L2 strength on dense weights (not on biases and normalization).
        attention_l2: L2 strength on dense weights whose name contains `attention`, in place of `weight_decay`; None
            for no difference.
        decoupled: For adam: whether L2 acts as w -= learning rate * l2 * w outside the adaptive step (AdamW).
        catch_up_decay: For decoupled, lazy adam: whether a row that comes into a batch also gets the decay of the
            steps that it missed, before its update; at the end of each epoch all rows get theirs. So embeddings decay
            as if the whole table did each step, at the cost of the rows of the batch.
        average_decay: Decay a step of a mean of all trainable parameters over the steps, which validation, the best
            values and the end of training then use; None for the parameters themselves. Costs a pass over all
            parameters each step: for small tables. See `pnn_gluon.training.averaging`.
        clip_norm: Largest norm of the gradient of the mean loss over all parameters, before L2; None for no limit.
        patience: With validation, epochs in a row without a better value before training stops.
        checkpoint_every: Batches between checkpoints. Random numbers (dropout) start anew at each checkpoint, so
            with dropout this number is part of what decides the result, whether or not checkpoints are kept.
        devices: Number of devices a batch is divided over.
        device: Kind of the devices.
        kvstore: How gradients of several devices are added up; `none` is for one device, `dist_sync` for many workers
            with parameter servers (`pnn_gluon.cluster`), `dist_device_sync` for workers of several devices each.
        precision: How dense layers multiply, with the native operators: `f32`, `x3` (as good as float32), `bf16`
            (bfloat16, sums in float32), or `auto`: x3 where the processor has AMX, else f32. See
            `pnn_gluon.ops.PRECISIONS`.
    """

    epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    optimizer: OptimizerName = "adam"
    learning_rate: _Positive = 1e-3
    schedule: ScheduleName = "constant"
    final_rate_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    plateau_factor: _Share | None = None
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    lazy_update: bool = True
    epsilon: _Positive | None = None
    l1: _Strength = 0.0
    embedding_l2: _Strength = 0.0
    weight_decay: _Strength = 0.0
    attention_l2: _Strength | None = None
    decoupled: bool = False
    catch_up_decay: bool = False
    average_decay: _Share | None = None
    clip_norm: _Positive | None = None
    patience: Annotated[int, Field(ge=1)] = 1
    checkpoint_every: Annotated[int, Field(ge=1, lt=2**31)] = 2000
    devices: Annotated[int, Field(ge=1, le=64)] = 1
    device: Device = "cpu"
    kvstore: KVStore = "device"
    precision: PrecisionName = "auto"


class TrainingOptions(FittingOptions):
    """All that `pnn_gluon.training.loop.train` asks about. The batch size belongs to whatever yields the batches.

    Equal options, batches and thread count give equal bytes.

    Attributes:
        loss: `log` (log loss of the probability) or `squared` (of the output, labels -1 and 1); see
            `pnn_gluon.training.loss`.
        seed: Decides starting values and dropout.

    Raises:
        ConfigError: a value out of range, or one that the others leave without effect.
    """

    loss: LossName = "log"
    seed: Seed = 1

    def replaced(self, **options: Any) -> Self:
        """These options with some replaced, checked again."""
        return type(self)(**{**self.model_dump(), **options})

    @model_validator(mode="after")
    def _options_go_together(self) -> Self:
        for wrong, message in self._rules():
            if wrong:
                raise ValueError(message)
        return self

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield from self._optimizer_rules()
        yield from self._decay_rules()
        yield from self._schedule_rules()
        if self.kvstore in DISTRIBUTED:
            yield from self._server_rules()

    @model_validator(mode="wrap")
    @classmethod
    def _refused_as_configuration(cls, given: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return check(given)
        except ValidationError as error:
            raise ConfigError("; ".join(map(_said, error.errors()))) from None

    def _optimizer_rules(self) -> Iterator[tuple[bool, str]]:
        """What options of the optimizer must not say together, each with its message."""
        name = self.optimizer
        yield (
            bool(self.l1) and name != "ftrl",
            f"l1 = {self.l1} has no effect with optimizer {name!r}: only ftrl has it",
        )
        yield (
            self.epsilon is not None and name not in _WITH_EPSILON,
            f"epsilon has no effect with optimizer {name!r}: only {', '.join(_WITH_EPSILON)} have it",
        )
        yield (
            not self.lazy_update and name not in {"adam", "sgd"},
            f"optimizer {name!r} always updates lazily: leave lazy_update out",
        )
        yield (
            self.kvstore == "none" and self.devices > 1,
            "kvstore 'none' adds no gradients up: with several devices take 'device' or 'local'",
        )
        yield (
            self.precision in {"x3", "bf16"} and self.device == "gpu",
            f"precision {self.precision!r} is for the CPU: leave it out",
        )

    def _decay_rules(self) -> Iterator[tuple[bool, str]]:
        strongest = max(self.embedding_l2, self.weight_decay, self.attention_l2 or 0.0)
        yield (
            self.decoupled and self.optimizer != "adam",
            f"decoupled has no effect with optimizer {self.optimizer!r}: only adam has it",
        )
        yield (
            self.decoupled and not strongest,
            "decoupled has no effect without embedding_l2, weight_decay or attention_l2",
        )
        yield (
            self.decoupled and self.learning_rate * strongest >= 1,
            f"decoupled takes learning_rate * l2 of a weight each step, here {self.learning_rate * strongest}: "
            "it must be below 1",
        )
        yield (
            self.catch_up_decay and not (self.decoupled and self.lazy_update and self.embedding_l2),
            "catch_up_decay has an effect with decoupled, lazy_update and embedding_l2 above 0 only",
        )
        yield (
            self.catch_up_decay and self.average_decay is not None,
            "average_decay takes the mean of rows that catch_up_decay has not decayed yet: take one of the two",
        )

    def _server_rules(self) -> Iterator[tuple[bool, str]]:
        """What servers do not do, each with the reason."""
        goes = f"kvstore {self.kvstore!r} goes without"
        yield self.average_decay is not None, f"{goes} average_decay: servers keep no means of the parameters"
        yield self.catch_up_decay, f"{goes} catch_up_decay: servers do not keep the decay that rows missed"
        yield not self.lazy_update, f"{goes} lazy_update = false: a step would pass over all rows of all servers"
        yield (
            self.kvstore == "dist_sync" and self.devices > 1,
            "kvstore 'dist_sync' is for workers of one device: with several take 'dist_device_sync'",
        )
        yield (
            self.kvstore == "dist_device_sync" and self.devices == 1,
            "kvstore 'dist_device_sync' is for workers of several devices: with one take 'dist_sync'",
        )

    def _schedule_rules(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.optimizer == "ftrl" and (self.schedule != "constant" or self.warmup_steps > 0),
            "ftrl derives its weights from all steps with one learning rate: leave schedule and warmup_steps out",
        )
        yield (
            bool(self.final_rate_share) and self.schedule not in {"linear", "cosine"},
            f"final_rate_share has no effect with schedule {self.schedule!r}: only linear and cosine have it",
        )
        yield (
            self.plateau_factor is not None and self.schedule != "plateau",
            f"plateau_factor has no effect with schedule {self.schedule!r}: only plateau has it",
        )
        yield (
            self.schedule == "plateau" and (self.patience < 2 or self.epochs < 3),
            f"schedule 'plateau' has no effect with patience {self.patience} and {self.epochs} epochs: training ends "
            "before an epoch with a lower rate; set patience to 2 and epochs to 3 or more",
        )


def _said(error: Any) -> str:
    """One thing that is wrong: the option, what was expected and what came; the message alone if it names both."""
    text = error["msg"].removeprefix("Value error, ")
    return f"{error['loc'][0]}: {text} (received {error['input']!r})" if error["loc"] else text
