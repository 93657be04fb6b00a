"""Compressed interaction network: explicit interactions of bounded order, vector by vector."""

from typing import Any

from pnn_gluon.blocks.dense import dense_product
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class CompressedInteraction(HybridBlock):
    """The logit of a compressed interaction network (CIN): vectors (B, N, K) -> (B,).

    X^0 holds the N field vectors; layer l makes H_l feature maps of K numbers each, * element by element:

    X^l_h = sum_{i,j} W^{l,h}_ij (X^{l-1}_i * X^0_j),  logit = sum_l sum_h w^l_h sum_k X^l_hk.

    All maps of a layer go on to the next one and to the output (no half of them each), with the identity as
    activation, which the paper found best. So the maps of the last layer are only summed: w and W of that layer
    are multiplied into one matrix M_ji = sum_h w_h W^h_ij, and its term is sum_k (X^0)^T M X. This is the same number
    with the same gradients, for about 1/H of the work. The numbers of the vectors are examples of their own,
    (B K, N): a layer before the last is an outer product and a dense layer. The native operator makes the products
    where they are multiplied; the plain form stores all B K N H of them.
    Weights start as Xavier's. Source: Lian et al. (2018), xDeepFM, section 3.1.

    Args:
        layout: The fields, N of them.
        embedding_size: K.
        feature_maps: H_1, H_2, ... of the layers; L layers give interactions of up to L + 1 fields.

    Raises:
        ConfigError: no layer, or a layer without feature maps.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, feature_maps: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not feature_maps or min(feature_maps) < 1:
            raise ConfigError(f"feature_maps needs one or more layers of 1 or more maps, not {feature_maps}")
        self._fields, self._embedding_size = layout.fields, embedding_size
        inputs = (layout.fields, *feature_maps)
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            for before, maps in zip(inputs, feature_maps[:-1], strict=False):
                self.layers.add(_FeatureMaps(layout.fields, before, maps))
            self.last = _SummedMaps(layout.fields, inputs[-2], feature_maps[-1])

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B,)."""
        fields = F.reshape(F.transpose(vectors, axes=(0, 2, 1)), shape=(-1, self._fields))  # (B K, N)
        maps, terms = fields, []
        for layer in self.layers:
            maps, term = layer(fields, maps)  # (B K, H), (B K, 1)
            terms.append(term)
        terms.append(self.last(fields, maps))  # (B K, 1)
        return F.sum(F.reshape(F.add_n(*terms), shape=(-1, self._embedding_size)), axis=1)  # (B,)


class _Weights(HybridBlock):
    """W (H, N G), column j G + i for field j and map i before, and w (1, H) of one layer."""

    def __init__(self, fields: int, before: int, maps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._fields, self._before, self._maps = fields, before, maps
        xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(maps, fields * before), init=xavier)
            self.output_weight = self.params.get("output_weight", shape=(1, maps), init=xavier)


class _FeatureMaps(_Weights):
    """A layer before the last: fields (B K, N), maps (B K, G) -> maps (B K, H) and their term (B K, 1)."""

    def hybrid_forward(
        self, F: Any, fields: Tensor, before: Tensor, weight: Tensor, output_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """fields (B K, N), before (B K, G) -> (B K, H), (B K, 1)."""
        if native_operators():
            how = {"same": int(before is fields), "precision": chosen_precision()}
            maps = F.pnn_feature_maps(fields, before, weight, maps=self._maps, **how)
        else:
            maps = self._plain(F, fields, before, weight)
        return maps, dense_product(F, maps, output_weight, 1)

    def _plain(self, F: Any, fields: Tensor, before: Tensor, weight: Tensor) -> Tensor:
        outer = F.batch_dot(F.expand_dims(fields, axis=2), F.expand_dims(before, axis=1))  # (B K, N, G)
        flat = F.reshape(outer, shape=(-1, self._fields * self._before))  # (B K, N G)
        return dense_product(F, flat, weight, self._maps)  # (B K, H)


class _SummedMaps(_Weights):
    """The last layer: fields (B K, N), maps (B K, G) -> its term (B K, 1)."""

    def hybrid_forward(self, F: Any, fields: Tensor, before: Tensor, weight: Tensor, output_weight: Tensor) -> Tensor:
        """fields (B K, N), before (B K, G) -> (B K, 1)."""
        m = F.reshape(F.dot(output_weight, weight), shape=(self._fields, self._before))  # (N, G)
        against = dense_product(F, before, m, self._fields)  # (B K, N)
        return F.sum(fields * against, axis=1, keepdims=True)  # (B K, 1)
