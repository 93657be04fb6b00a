"""The rows of a partition of `samples` or `matured`, of this release or an earlier one."""

from typing import TYPE_CHECKING, Any

from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.tables import ROWS_FILE, SHARES_FILE

if TYPE_CHECKING:
    from pnn_gluon.data.sampled_rows import SampledRows

FILE_BEFORE_0_3 = "sample.parquet"
"""The rows of the sample once more, with their share and rate."""


def sampled_rows(partition: Partition[Any]) -> "SampledRows":
    """Its rows with their shares."""
    from pnn_gluon.data.sampled_rows import SampledRows

    if any(file.name == SHARES_FILE for file in partition.manifest.files):
        return SampledRows(partition.file(ROWS_FILE), partition.file(SHARES_FILE))
    return SampledRows(partition.file(FILE_BEFORE_0_3))
