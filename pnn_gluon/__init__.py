"""Daily click-prediction pipeline: product-based networks on MXNet Gluon, calibrated and repeatable."""

__version__ = "0.2.0"
