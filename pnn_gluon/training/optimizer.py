"""Optimizers that treat the rows of id tables as rows, and the trainer that applies them.

g is the gradient of the mean loss, a the learning rate, l2 the strength for this parameter; t counts steps from 1.

- sgd: g' = g + l2 w; w -= a g'
- adam: g' = g + l2 w; m = .9 m + .1 g'; v = .999 v + .001 g'^2;
  w -= a sqrt(1 - .999^t) / (1 - .9^t) m / (sqrt(v) + eps)
- adam, decoupled: w -= a l2 w, then as adam with g' = g
- adagrad: g' = g + l2 w; n += g'^2; w -= a g' / sqrt(n + eps)
- groupadagrad: as adagrad, with one number n_r += mean(g'_r^2) for a row
- ftrl: z += g - (sqrt(n + g^2) - sqrt(n)) / a w; n += g^2;
  w = (sign(z) l1 - z) / ((1 + sqrt(n)) / a + l2) if abs(z) > l1, else 0

Row-sparse gradients change only the rows they hold, each once, in the weight and in the state (unless
`lazy_update` is off); t counts steps, not visits of a row. Source of adam: Kingma & Ba (2015).
"""

from typing import Any

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Optimizer, mx
from pnn_gluon.training.adagrad import AdaGrad, GroupAdaGrad
from pnn_gluon.training.adam import Adam
from pnn_gluon.training.adamw import AdamW
from pnn_gluon.training.ftrl import Ftrl
from pnn_gluon.training.options import TrainingOptions

_EPSILON = {"adam": 1e-8, "adagrad": 1e-7, "groupadagrad": 1e-5}


def make_optimizer(options: TrainingOptions) -> Optimizer:
    """The optimizer of the options; its weight decay of 1 is scaled for each parameter by `make_trainer`."""
    common: dict[str, Any] = {"learning_rate": options.learning_rate, "wd": 1.0}
    epsilon = _EPSILON.get(options.optimizer, 0.0) if options.epsilon is None else options.epsilon
    lazy = options.lazy_update
    optimizer: Optimizer
    match options.optimizer:
        case "adam" if options.decoupled:
            optimizer = AdamW(epsilon=epsilon, lazy_update=lazy, catch_up=options.catch_up_decay, **common)
        case "adam":
            optimizer = Adam(epsilon=epsilon, lazy_update=lazy, **common)
        case "sgd":
            optimizer = mx.optimizer.SGD(lazy_update=lazy, **common)
        case "adagrad":
            optimizer = AdaGrad(eps=epsilon, **common)
        case "groupadagrad":
            optimizer = GroupAdaGrad(eps=epsilon, **common)
        case "ftrl":
            optimizer = Ftrl(l1=options.l1, **common)
    return optimizer


def make_trainer(net: HybridBlock, options: TrainingOptions) -> Any:
    """Gluon trainer of all parameters of an initialized network, with their L2 strengths.

    Sets `wd_mult` of each parameter: `embedding_l2` on rows of ids, `attention_l2` (if given) on dense weights of an
    attention, `weight_decay` on other dense weights, else 0.

    Raises:
        ConfigError: `attention_l2` for a network that has no such weight.
    """
    set_l2(net, options)
    kvstore = None if options.kvstore == "none" else options.kvstore
    optimizer = make_optimizer(options)
    return mx.gluon.Trainer(net.collect_params(), optimizer, kvstore=kvstore, update_on_kvstore=False)


def set_l2(net: HybridBlock, options: TrainingOptions) -> None:
    """Set `wd_mult` of each parameter of a network, with values or without; see `make_trainer`.

    Raises:
        ConfigError: `attention_l2` for a network that has no such weight.
    """
    parameters = net.collect_params()
    if options.attention_l2 is not None and not any(map(_is_attention, parameters)):
        raise ConfigError(
            f"attention_l2 = {options.attention_l2} has no effect: no dense weight of the network has 'attention' in "
            "its name; leave it out"
        )
    for parameter in parameters.values():
        parameter.wd_mult = _l2(parameter.name, options)


def _l2(name: str, options: TrainingOptions) -> float:
    if is_row_parameter(name):
        return options.embedding_l2
    if options.attention_l2 is not None and _is_attention(name):
        return options.attention_l2
    return options.weight_decay if name.endswith("weight") else 0.0


def _is_attention(name: str) -> bool:
    """Whether the parameter of this name is a dense weight of an attention."""
    return "attention" in name and name.endswith("weight") and not is_row_parameter(name)
