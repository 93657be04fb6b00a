"""A plugin of pytest: the tests run with the native library that the environment names instead of the installed one."""

import os
from pathlib import Path

import pnn_gluon.ops

pnn_gluon.ops.LIBRARY = Path(os.environ["PNN_GLUON_TEST_LIBRARY"])
