"""The local activation of DIN in float64 numpy, over the values that histories hold and nothing else."""

import numpy as np
from numpy_models import Arrays, activate, within


def local_activation(
    pairs: list[tuple[np.ndarray, np.ndarray]], values: Arrays, hidden: int, activation: str
) -> np.ndarray:
    """Weights of pairs of a history's vector and its candidate's vector: R pairs -> (R,)."""
    if not pairs:
        return np.zeros(0)
    x = np.array([np.concatenate([e, c, e - c, e * c]) for e, c in pairs])
    for layer in range(hidden):
        x = x @ values[f"layers.{layer}.weight"].T + values[f"layers.{layer}.bias"]
        x = activate(x, activation, within(values, f"activations.{layer}"))
    return (x @ values["output.weight"].T + values["output.bias"])[:, 0]
