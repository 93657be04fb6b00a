"""Whether a scheduler runs the DAGs: without one nobody comes back later, so nothing waits."""

import os

LOOK_ONCE = "PNN_GLUON_LOOK_ONCE"
"""Variable that is set where days run in one process, such as the demo's."""


def without_scheduler() -> bool:
    """Whether the DAGs run in one process: raw files are looked for once, and nobody is asked or told late."""
    return bool(os.environ.get(LOOK_ONCE))
