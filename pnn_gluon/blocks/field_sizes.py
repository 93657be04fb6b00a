"""An embedding size for each field, as an option of models."""

from typing import Any

from pnn_gluon.blocks.embedding import AdaptiveSizes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx


def field_sizes(layout: FieldLayout, sizes: tuple[int, ...], embedding_size: int) -> Any:
    """The block that leaves k_i numbers of the vector of field i, (B, N, K) -> (B, N, K); all of them without sizes.

    Args:
        layout: The fields of a row.
        sizes: k_1 ... k_N, or none at all. See `AdaptiveSizes`.
        embedding_size: K.

    Raises:
        ConfigError: some sizes, but not one for each field; or one outside [1, K].
    """
    if not sizes:
        return mx.gluon.contrib.nn.Identity()
    if len(sizes) != layout.fields:
        raise ConfigError(
            f"embedding_sizes must have one size for each of the {layout.fields} fields {', '.join(layout.names)}, "
            f"not {len(sizes)}: {sizes}"
        )
    return AdaptiveSizes(sizes, embedding_size)
