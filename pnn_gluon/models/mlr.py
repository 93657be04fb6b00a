"""Mixed logistic regression: a piecewise linear model."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.linear_scores import LinearScores
from pnn_gluon.blocks.mixture_logit import mixture_logit
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Count
from pnn_gluon.runtime import HybridBlock, Tensor


class MLR(HybridBlock):
    """logit of sum_m softmax_m(sum_i u_im + a_m) sigmoid(sum_i w_im + b_m), over `pieces` pieces m.

    The gates u divide the ids' space into pieces, each with a logistic regression w of its own.
    Ids int32 (B, S) -> logits (B,). Source: Gai et al. (2017), Learning Piece-wise Linear Models from Large Scale
    Data, equation 2, with a bias for each piece.

    Raises:
        ConfigError: fewer than two pieces.
    """

    def __init__(self, layout: FieldLayout, size: int, *, pieces: Count = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pieces < 2:
            raise ConfigError(f"pieces must be 2 or more, not {pieces}: one piece is model 'lr'")
        with self.name_scope():
            self.gates = LinearScores(layout, size, pieces)
            self.scores = LinearScores(layout, size, pieces)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        return mixture_logit(F, self.gates(ids), self.scores(ids))
