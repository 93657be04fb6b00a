"""Convolutional click prediction model."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.field_convolution import FieldConvolution
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.option_types import Count, Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class CCPM(HybridBlock):
    """logit = MLP(conv([v_1, ..., v_N])), conv of windows of `kernel_width` fields.

    Ids int32 (B, S) -> logits (B,). `filters` are the numbers of filters of the layers of convolution; of each filter
    of the last layer the `pooled_values` largest values go to the MLP; see `FieldConvolution`. There is no
    normalization by default: layer normalization does not work well with convolutions ([PNN] 4.4.3).

    The defaults are the paper's structure for Criteo, kernel 7x256 and net 256x3. With K = 20 and a million ids it has
    20,000,000 (embeddings) + 7 x 20 x 256 (convolution) + 256 x 256 x 3 + 256 (net) = 20.23 million weights, as in
    Table 10. So there is one layer of 256 filters, each of them over all 20 numbers of 7 fields, and one value of each
    filter goes on: with three, as in Liu et al. (2015), there would be 20.36 million, with a filter's output for each
    number of a vector or with a second layer of 256 filters more than 20.6.
    Source: [PNN] (17), Tables 5 and 10; Liu et al. (2015).

    Raises:
        ConfigError: a layer without filters, a window of no field, or no value kept.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(hidden=(256, 256, 256), normalization="none"),
        kernel_width: Count = 7,
        filters: Widths = (256,),
        pooled_values: Count = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.convolution = FieldConvolution(layout, embedding.embedding_size, kernel_width, filters, pooled_values)
            self.mlp = MLP(self.convolution.units, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        return F.reshape(self.mlp(self.convolution(v)), shape=(-1,))  # (B,)
