"""Training steps of a network of this package, for `benchmarks.training_step`.

`operators` in the settings is native or plain, `precision` (f32, x3, bf16) that of dense layers. A step is what the
training loop does for each batch: rows to tensors, forward, backward, update of the parameters.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.interleaved import answer


def main() -> None:
    """Answer each line of input, a number of steps, with their milliseconds."""
    answer(numbered_step(json.loads(sys.argv[1])))


def numbered_step(settings: dict[str, Any]) -> Callable[[int], None]:
    """A training step of the network of these settings, by its number, which says the batch."""
    os.environ["OMP_NUM_THREADS"] = str(settings["threads"])
    os.environ["PNN_GLUON_OPERATORS"] = settings["operators"]
    os.environ["PNN_GLUON_PRECISION"] = settings["precision"]
    step = _prepared(settings)
    data = np.load(settings["data"])
    batches, label = data["ids"].astype(np.int32), data["label"]
    return lambda number: step(batches[number % len(batches)], label)


def _prepared(settings: dict[str, Any]) -> Any:
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.models.registry import create_model, model_options
    from pnn_gluon.runtime import mx
    from pnn_gluon.training.devices import contexts, initialize
    from pnn_gluon.training.optimizer import make_trainer
    from pnn_gluon.training.options import TrainingOptions
    from pnn_gluon.training.step import TrainingStep

    layout = FieldLayout.single_valued(tuple(f"f{i}" for i in range(settings["fields"])))
    wanted = {"embedding_size": settings["embedding_size"], "hidden": tuple(settings["hidden"])}
    taken = {name: value for name, value in wanted.items() if name in model_options(settings["model"])}
    net = create_model(settings["model"], layout, settings["ids"], **taken)
    options = TrainingOptions(learning_rate=1e-3)
    places = contexts("cpu", 1)
    initialize(net, places, 1)
    net.hybridize(static_alloc=True)
    step = TrainingStep(net, make_trainer(net, options), places, None)

    def run(ids: Any, label: Any) -> None:
        step(ids, label)
        mx.nd.waitall()

    return run


if __name__ == "__main__":
    main()
