"""What decides a training run, checked once."""

from dataclasses import dataclass
from typing import Literal, get_args

from pnn_gluon.errors import ConfigError

OptimizerName = Literal["adam", "adagrad", "ftrl", "sgd"]
Device = Literal["cpu", "gpu"]
KVStore = Literal["device", "local", "none"]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is fitted. The batch size belongs to whatever yields the batches.

    Equal options, batches and thread count give equal bytes.

    Attributes:
        epochs: Largest number of passes.
        optimizer: `adam`, `adagrad`, `ftrl` (FTRL-Proximal) or `sgd`; see `pnn_gluon.training.optimizer`.
        learning_rate: Step size; FTRL's alpha.
        lazy_update: For adam and sgd: whether a step leaves rows of ids that are not in the batch alone. Without it
            moments and `embedding_l2` act on the whole table each step, at its cost. AdaGrad and FTRL are always lazy.
        epsilon: Adam's and AdaGrad's number against division by zero; None for 1e-8 and 1e-7.
        l1: FTRL's L1 strength.
        embedding_l2: L2 strength on embedding and linear rows, the `l2 / 2 |w|^2` of each distinct row of a batch
            once ([PNN] 4.4.1 "sparse regularization").
        weight_decay: L2 strength on dense weights (not on biases and normalization).
        clip_norm: Largest norm of the gradient of the mean loss over all parameters, before L2; None for no limit.
        patience: With validation, epochs in a row without a better value before training stops.
        checkpoint_every: Batches between checkpoints. Random numbers (dropout) start anew at each checkpoint, so
            with dropout this number is part of what decides the result, whether or not checkpoints are kept.
        devices: Number of devices a batch is divided over.
        device: Kind of the devices.
        kvstore: How gradients of several devices are added up; `none` is for one device.
        seed: Decides starting values and dropout.

    Raises:
        ConfigError: a value out of range, or one that the others leave without effect.
    """

    epochs: int = 1
    optimizer: OptimizerName = "adam"
    learning_rate: float = 1e-3
    lazy_update: bool = True
    epsilon: float | None = None
    l1: float = 0.0
    embedding_l2: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    patience: int = 1
    checkpoint_every: int = 2000
    devices: int = 1
    device: Device = "cpu"
    kvstore: KVStore = "device"
    seed: int = 1

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_ranges()
        self._check_effects()

    def _check_choices(self) -> None:
        for name, choices in (("optimizer", OptimizerName), ("device", Device), ("kvstore", KVStore)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(f"{name} must be one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}")

    def _check_ranges(self) -> None:
        for name in ("epochs", "patience", "checkpoint_every", "devices"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("learning_rate", "epsilon", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} must be above 0 and finite, not {value}")
        for name in ("l1", "embedding_l2", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be 0 or more and finite, not {getattr(self, name)}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed must be in [0, 2^31), not {self.seed}")

    def _check_effects(self) -> None:
        if self.l1 and self.optimizer != "ftrl":
            raise ConfigError(f"l1 = {self.l1} has no effect with optimizer {self.optimizer!r}: only ftrl has it")
        if self.epsilon is not None and self.optimizer not in {"adam", "adagrad"}:
            raise ConfigError(f"epsilon has no effect with optimizer {self.optimizer!r}: only adam and adagrad have it")
        if not self.lazy_update and self.optimizer not in {"adam", "sgd"}:
            raise ConfigError(f"optimizer {self.optimizer!r} always updates lazily: leave lazy_update out")
        if self.kvstore == "none" and self.devices > 1:
            raise ConfigError("kvstore 'none' adds no gradients up: with several devices take 'device' or 'local'")
