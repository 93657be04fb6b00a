"""Training: options, devices, optimizers, the loop, checkpoints, warm starts and exports."""
