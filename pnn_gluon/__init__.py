"""Daily click-prediction pipeline: product-based networks on MXNet Gluon, calibrated and repeatable."""

__version__ = "0.1.0"
