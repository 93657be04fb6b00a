"""Optimizers that treat the rows of id tables as rows, and the trainer that applies them.

g is the gradient of the mean loss, a the learning rate, l2 the strength for this parameter; t counts steps from 1.

- sgd: g' = g + l2 w; w -= a g'
- adam: g' = g + l2 w; m = .9 m + .1 g'; v = .999 v + .001 g'^2;
  w -= a sqrt(1 - .999^t) / (1 - .9^t) m / (sqrt(v) + eps)
- adagrad: g' = g + l2 w; n += g'^2; w -= a g' / sqrt(n + eps)
- ftrl: z += g - (sqrt(n + g^2) - sqrt(n)) / a w; n += g^2;
  w = (sign(z) l1 - z) / ((1 + sqrt(n)) / a + l2) if abs(z) > l1, else 0

Row-sparse gradients change only the rows they hold, each once, in the weight and in the state (unless
`lazy_update` is off); t counts steps, not visits of a row. Sources: Kingma & Ba (2015); Duchi et al. (2011);
McMahan et al. (2013), algorithm 1, with beta = 1. MXNet's own sparse AdaGrad refuses weight decay, and its FTRL
falls back to whole dense tables and drops their starting values, hence the two classes here.
"""

from collections.abc import Callable
from typing import Any

from pnn_gluon.blocks.embedding import is_row_parameter
from pnn_gluon.runtime import HybridBlock, Optimizer, Tensor, mx
from pnn_gluon.training.options import TrainingOptions


def _update_rows(grad: Tensor, arrays: tuple[Tensor, ...], step: Callable[..., None]) -> None:
    """Run `step(gradient, *arrays)`, which changes the arrays in place, on the rows that the gradient holds."""
    if grad.stype == "default":
        step(grad, *arrays)
        return
    rows = grad.indices
    parts = [mx.nd.take(array, rows) for array in arrays]
    step(grad.data, *parts)
    for array, part in zip(arrays, parts, strict=True):
        where = rows.reshape((1, -1))
        mx.nd._internal._scatter_set_nd(lhs=array, rhs=part, indices=where, shape=array.shape, out=array)


class AdaGrad(Optimizer):
    """AdaGrad with L2 in the gradient, on the rows that a row-sparse gradient holds."""

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eps = eps

    def create_state(self, index: int, weight: Tensor) -> Tensor:
        """The sum of squared gradients, 0."""
        return mx.nd.zeros_like(weight)

    def update(self, index: int, weight: Tensor, grad: Tensor, state: Tensor) -> None:
        """One step on one parameter."""
        self._update_count(index)
        rate, decay = self._get_lr(index), self._get_wd(index)

        def step(g: Tensor, w: Tensor, n: Tensor) -> None:
            g = g * self.rescale_grad + decay * w
            n += mx.nd.square(g)
            w -= rate * g / mx.nd.sqrt(n + self.eps)

        _update_rows(grad, (weight, state), step)


class Ftrl(Optimizer):
    """FTRL-Proximal on the rows that a row-sparse gradient holds; starting values of the weights are kept.

    The state z starts where the weight is the minimum it stands for: z = -w (1 / a + l2) - sign(w) l1.
    """

    def __init__(self, l1: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.l1 = l1

    def create_state(self, index: int, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The states z and n of a parameter."""
        scale = 1 / self._get_lr(index) + self._get_wd(index)
        return -weight * scale - mx.nd.sign(weight) * self.l1, mx.nd.zeros_like(weight)

    def update(self, index: int, weight: Tensor, grad: Tensor, state: tuple[Tensor, Tensor]) -> None:
        """One step on one parameter."""
        self._update_count(index)
        settings = {"lr": self._get_lr(index), "wd": self._get_wd(index), "lamda1": self.l1, "beta": 1.0}

        def step(g: Tensor, w: Tensor, z: Tensor, n: Tensor) -> None:
            mx.nd.ftrl_update(w, g, z, n, out=w, rescale_grad=self.rescale_grad, **settings)

        _update_rows(grad, (weight, *state), step)


def make_optimizer(options: TrainingOptions) -> Optimizer:
    """The optimizer of the options; its weight decay of 1 is scaled for each parameter by `make_trainer`."""
    common: dict[str, Any] = {"learning_rate": options.learning_rate, "wd": 1.0}
    epsilon = options.epsilon
    optimizer: Optimizer
    match options.optimizer:
        case "adam":
            epsilon = 1e-8 if epsilon is None else epsilon
            optimizer = mx.optimizer.Adam(lazy_update=options.lazy_update, epsilon=epsilon, **common)
        case "sgd":
            optimizer = mx.optimizer.SGD(lazy_update=options.lazy_update, **common)
        case "adagrad":
            optimizer = AdaGrad(eps=1e-7 if epsilon is None else epsilon, **common)
        case "ftrl":
            optimizer = Ftrl(l1=options.l1, **common)
    return optimizer


def make_trainer(net: HybridBlock, options: TrainingOptions) -> Any:
    """Gluon trainer of all parameters of an initialized network, with their L2 strengths.

    Sets `wd_mult` of each parameter: `embedding_l2` on rows of ids, `weight_decay` on dense weights, else 0.
    """
    for parameter in net.collect_params().values():
        parameter.wd_mult = _l2(parameter.name, options)
    kvstore = None if options.kvstore == "none" else options.kvstore
    return mx.gluon.Trainer(net.collect_params(), make_optimizer(options), kvstore=kvstore, update_on_kvstore=False)


def _l2(name: str, options: TrainingOptions) -> float:
    if is_row_parameter(name):
        return options.embedding_l2
    return options.weight_decay if name.endswith("weight") else 0.0
