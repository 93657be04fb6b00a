"""The largest values of a row, in their order."""

from typing import Any

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor


class OrderedMaxPooling(HybridBlock):
    """The p largest of the last axis, in the order in which they stand: (B, C, L) -> (B, C, p).

    Source: Liu et al. (2015), A Convolutional Click Prediction Model, flexible p-max pooling.

    Args:
        kept: p, from 1 to L.

    Raises:
        ConfigError: p below 1.
    """

    def __init__(self, kept: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kept < 1:
            raise ConfigError(f"the number of values that pooling keeps must be 1 or more, not {kept}")
        self._kept = kept

    def hybrid_forward(self, F: Any, x: Tensor) -> Tensor:
        """x (B, C, L) -> (B, C, p)."""
        if self._kept == 1:  # several times faster than looking up, and one of equal values gets the gradient
            return F.Pooling(x, kernel=(1,), global_pool=True, pool_type="max")
        largest = F.topk(F.BlockGrad(x), axis=2, k=self._kept, ret_typ="indices")  # (B, C, p)
        place = F.sort(largest, axis=2)
        row = F.broadcast_like(F.reshape(F.contrib.arange_like(x, axis=0), shape=(-1, 1, 1)), place)
        channel = F.broadcast_like(F.reshape(F.contrib.arange_like(x, axis=1), shape=(1, -1, 1)), place)
        return F.gather_nd(x, F.BlockGrad(F.stack(row, channel, place, axis=0)))
