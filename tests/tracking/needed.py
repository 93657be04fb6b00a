"""What tests against the real packages need."""

import importlib.util

import pytest

needs_mlflow, needs_openlineage = (
    pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason="the extra tracking is not installed: make long installs it"
    )
    for module in ("mlflow", "openlineage")
)
