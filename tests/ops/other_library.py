"""A plugin of pytest: the tests run with the native libraries that the environment names, not the installed ones."""

import os
from pathlib import Path

if operators := os.environ.get("PNN_GLUON_TEST_LIBRARY"):
    import pnn_gluon.ops

    pnn_gluon.ops.LIBRARY = Path(operators)

if cutter := os.environ.get("PNN_GLUON_TEST_CUTTER"):
    from pnn_gluon.data import cutter_library

    cutter_library.LIBRARY = Path(cutter)
