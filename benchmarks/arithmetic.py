"""The arithmetic of a training step, in GFLOP: what the network needs, whoever computes it.

A multiply-add counts as 2 operations. A layer of products of two tensors (dense layer, inner product) takes three times
the multiply-adds of its forward pass: forward, gradient of the one, gradient of the other. Where a smaller form of the
same function is known, that counts: FM by sums of vectors, DCN by one number a row and layer, the last CIN layer by one
matrix. Left out, as they are linear in the numbers they touch: normalization, activations, loss, and the update.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Network:
    """Sizes of a network; those with a value are the defaults of the models.

    Attributes:
        fields: N.
        embedding_size: K.
        hidden: Widths of the dense layers.
        subnet_hidden: H of PIN's sub-networks.
        subnet_outputs: D of PIN's sub-networks.
        cross_layers: Cross layers of DCN.
        feature_maps: Maps of the layers of xDeepFM's CIN.
        attention_layers: Of AutoInt.
        heads: Of an attention layer.
        head_size: Of a head.
    """

    fields: int
    embedding_size: int
    hidden: tuple[int, ...] = ()
    subnet_hidden: int = 40
    subnet_outputs: int = 5
    cross_layers: int = 3
    feature_maps: tuple[int, ...] = (100, 100)
    attention_layers: int = 3
    heads: int = 2
    head_size: int = 16

    @property
    def pairs(self) -> int:
        """P = N (N - 1) / 2."""
        return self.fields * (self.fields - 1) // 2

    @property
    def width(self) -> int:
        """N K, the numbers of all field vectors of a row."""
        return self.fields * self.embedding_size


def step_gflop(model: str, network: Network, rows: int) -> float:
    """GFLOP of a training step of a batch of that many rows."""
    return 2e-9 * rows * _MODELS[model](network)


def _mlp(network: Network, inputs: int) -> int:
    """Dense layers down to one number, forward and backward."""
    widths = (inputs, *network.hidden, 1)
    return 3 * sum(before * after for before, after in pairwise(widths))


def _linear(network: Network) -> int:
    """The sum of a row's weights; its gradient is the row's own."""
    return network.fields


def _fm(network: Network) -> int:
    """Sum s and sum of squares of the vectors; the gradient of v is g (s - v)."""
    return 3 * network.width


def _inner_products(network: Network) -> int:
    return 3 * network.pairs * network.embedding_size


def _kernel_products(network: Network) -> int:
    """phi v_j, its product with v_i, and their gradients."""
    k = network.embedding_size
    return 3 * network.pairs * (k * k + k)


def _sub_networks(network: Network) -> int:
    """v_i * v_j, the hidden layer of 3 K inputs, the outputs."""
    k, hidden = network.embedding_size, network.subnet_hidden
    return 3 * network.pairs * (k + 3 * k * hidden + hidden * network.subnet_outputs)


def _cross_network(network: Network) -> int:
    """A product x w_l for each layer, then x_L = a x_0 + c and its product with the output weights."""
    return 3 * (network.cross_layers + 2) * network.width


def _compressed_interaction(network: Network) -> int:
    """Each of K numbers: products of maps and fields, H maps of them and their sum; the last layer one matrix alone."""
    n, maps = network.fields, (network.fields, *network.feature_maps)
    layers = sum(n * before + n * before * after + after for before, after in pairwise(maps[:-1]))
    return 3 * network.embedding_size * (layers + n * maps[-2] + n)


def _attention(network: Network) -> int:
    """Queries, keys, values and residuals, scores, weighted sums; then the output layer."""
    n, outputs = network.fields, network.heads * network.head_size
    inputs = (network.embedding_size, *[outputs] * (network.attention_layers - 1))
    layers = sum(4 * n * before * outputs + 2 * n * n * outputs for before in inputs)
    return 3 * (layers + n * outputs)


_MODELS = {
    "lr": _linear,
    "fm": lambda network: _linear(network) + _fm(network),
    "ffm": lambda network: _linear(network) + _inner_products(network),
    "deepfm": lambda network: _linear(network) + _fm(network) + _mlp(network, network.width),
    "ipnn": lambda network: _inner_products(network) + _mlp(network, network.width + network.pairs),
    "kpnn": lambda network: _kernel_products(network) + _mlp(network, network.width + network.pairs),
    "pin": lambda network: _sub_networks(network) + _mlp(network, network.pairs * network.subnet_outputs),
    "dcn": lambda network: _cross_network(network) + _mlp(network, network.width),
    "xdeepfm": lambda network: _linear(network) + _compressed_interaction(network) + _mlp(network, network.width),
    "autoint": lambda network: _attention(network) + _mlp(network, network.width),
}
MODELS = tuple(_MODELS)
"""The models whose arithmetic is known."""
