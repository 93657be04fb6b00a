"""The mean of a network's parameters over the steps of training, often better than where the last step left them."""

from collections.abc import Iterator
from contextlib import contextmanager

from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.parameters import Values, named_parameters


class MeanWeights:
    """Exponential moving average of all parameters, with decay d:

    mean_t = (1 - d) / (1 - d^t) sum_{s<=t} d^(t-s) w_s

    It is the mean of w_1 ... w_t with weights that add up to 1, so it owes nothing to the starting values. It is kept
    as mean_t = mean_{t-1} + (1 - d) / (1 - d^t) (w_t - mean_{t-1}): a pass over all parameters each step, tables of
    ids included, and as much memory again. Running statistics of batch normalization are averaged too, for they
    belong to the weights of their step; constants stay what they are.
    Sources: Polyak & Juditsky (1992); the bias correction is that of Kingma & Ba (2015), 3.

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
        share = (1 - self._decay) / (1 - self._decay**step)
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
            parameter.set_data(values[name])
