"""Convolutions over neighbouring fields."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.max_pooling import OrderedMaxPooling
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class FieldConvolution(HybridBlock):
    """Layers of convolution over the fields, p-max pooling and tanh: vectors (B, N, K) -> (B, C_l p_l).

    Layer i turns x (B, C_{i-1}, n) into tanh(pool_i(conv_i(x))) (B, C_i, p_i), from the K numbers of N fields on.

    - conv: c_t = sum_{s=0}^{w-1} W_s x_{t+s-w+1} + b for t = 1 ... n + w - 1, with zeros outside (wide convolution): a
      filter meets every field in each of its w places, and there may be fewer fields than w. A filter spans all
      numbers of the fields in its window.
    - pool: the p_i largest of each filter's values in their order, p_i as `pooled_sizes` gives them.

    `units` is the number C_l p_l. Weights start as Xavier's, biases at 0. Source: Liu et al. (2015), A Convolutional
    Click Prediction Model; [PNN] (17). There a filter has one row for each number of a vector; here it also sums over
    the rows: that gives the number of weights of [PNN] Table 10 (see `pnn_gluon.models.ccpm`).

    Args:
        layout: The fields of a row.
        embedding_size: K.
        kernel_width: w.
        filters: C_1 ... C_l.
        pooled_values: p_l.

    Raises:
        ConfigError: no layer, a layer without filters, a window of no field, or no value kept.
    """

    def __init__(
        self,
        layout: FieldLayout,
        embedding_size: int,
        kernel_width: int,
        filters: tuple[int, ...],
        pooled_values: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check(kernel_width, filters)
        sizes = pooled_sizes(layout.fields, len(filters), kernel_width, pooled_values)
        self.units = filters[-1] * sizes[-1]
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            for channels, count, kept in zip((embedding_size, *filters), filters, sizes, strict=False):
                self.layers.add(_convolution(channels, count, kernel_width))
                self.layers.add(OrderedMaxPooling(kept))
                self.layers.add(mx.gluon.nn.Activation("tanh"))

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, C_l p_l)."""
        return F.reshape(self.layers(F.transpose(vectors, axes=(0, 2, 1))), shape=(0, -1))


def pooled_sizes(fields: int, layers: int, kernel_width: int, last: int) -> tuple[int, ...]:
    """p_1 ... p_l of flexible p-max pooling: p_i = (1 - (i / l)^(l - i)) N before the last layer, then `last`.

    Rounded down, at least 1; the last at most the number of values there are to pool.
    Source: Liu et al. (2015), flexible p-max pooling, with `last` = 3.
    """
    sizes = []
    for i in range(1, layers):
        whole, part = layers ** (layers - i), i ** (layers - i)
        sizes.append(max(1, fields * (whole - part) // whole))
    values = (sizes[-1] if sizes else fields) + kernel_width - 1
    return (*sizes, min(last, values))


def _convolution(channels: int, filters: int, width: int) -> Any:
    xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
    return mx.gluon.nn.Conv1D(filters, width, padding=width - 1, in_channels=channels, weight_initializer=xavier)


def _check(kernel_width: int, filters: tuple[int, ...]) -> None:
    if kernel_width < 1 or not filters or min(filters) < 1:
        raise ConfigError(
            f"kernel_width must be 1 or more and filters one or more numbers from 1, not {kernel_width} and {filters}"
        )
