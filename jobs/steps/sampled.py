"""The rows of a partition of `samples` or `matured`, of this release or an earlier one."""

from typing import TYPE_CHECKING, Any

from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.tables import ROWS_FILE, SHARES_FILE

if TYPE_CHECKING:
    from pnn_gluon.data.sampled_rows import SampledRows

FILE_BEFORE_0_3 = "sample.parquet"
"""The rows of the sample once more, with their share and rate."""


def sampled_rows(partition: Partition[Any]) -> "list[SampledRows]":
    """Its rows with their shares, part by part."""
    from pnn_gluon.data.sampled_rows import SampledRows

    if shares := partition.parts(SHARES_FILE):
        return [SampledRows(*pair, gaps=True) for pair in zip(partition.parts(ROWS_FILE), shares, strict=True)]
    return [SampledRows(partition.file(FILE_BEFORE_0_3), gaps=True)]
