"""How good a model is and whether it may serve: metrics, calibration, intervals, the gate, the daily report."""
