"""A bundle for other runtimes: one ONNX file of network and calibration, the map as Parquet, and a small reader."""
