"""The mean of a network's parameters over the steps of training, often better than where the last step left them."""

from collections.abc import Iterator
from contextlib import contextmanager

from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.parameters import Values, named_parameters, set_value


class MeanWeights:
    """Exponential moving average of all parameters, with decay d:

    mean_t = mean_{t-1} + (1 - d_t) (w_t - mean_{t-1}), d_t = min(d, (t - 1) / (t + 2))

    So it owes nothing to the starting values, and at first looks back over a third of the steps so far, until that
    is 1 / (1 - d). It is a pass over all parameters each step, tables of ids included, and takes as much memory again.
    Running statistics of batch normalization are averaged too, for they belong to the weights of their step;
    constants stay what they are.
    Source: Polyak & Juditsky (1992); the shorter past at the start is what keeps the first running statistics, which
    are far from all later ones, out of the mean.

    Args:
        net: Initialized network; the mean is that of its first device.
        decay: d, above 0 and below 1.
    """

    def __init__(self, net: HybridBlock, decay: float) -> None:
        self._decay = decay
        self._parameters = named_parameters(net)
        self.values: Values = {name: mx.nd.zeros_like(p.list_data()[0]) for name, p in self._parameters.items()}

    def add(self, step: int) -> None:
        """Take in the parameters after step number `step`, counted from 1."""
        share = 1 - min(self._decay, (step - 1) / (step + 2))
        for name, mean in self.values.items():
            mean += share * (self._parameters[name].list_data()[0] - mean)

    @contextmanager
    def in_network(self) -> Iterator[None]:
        """Let the network have the mean for a while, then its own values again."""
        own = {name: parameter.list_data()[0].copy() for name, parameter in self._parameters.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    def give_to_network(self) -> None:
        """Set the network's parameters to the mean."""
        self._put(self.values)

    def _put(self, values: Values) -> None:
        for name, parameter in self._parameters.items():
            set_value(parameter, values[name])
