"""Training gives the same bits with any number of threads."""

import json
import os
import subprocess
import sys

import pytest

from pnn_gluon.models.declared import declared_models

TRAINED = """
import hashlib, json, sys
import numpy as np
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.runtime import mx
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters
from pnn_gluon.training.step import TrainingStep

layout = FieldLayout(tuple("abcdefg"), (1, 1, 1, 1, 1, 1, 3))
random = np.random.default_rng(1)
batches = random.integers(0, 500, (3, 150, 9)).astype(np.int32)
label = (random.random(150) < 0.3).astype(np.float32)
found = {}
for name in sys.argv[1].split(","):
    wanted = {"embedding_size": 5, "hidden": (40, 33), "candidate": "a", "history": "g"}
    options = {key: value for key, value in wanted.items() if key in model_options(name)}
    net, places = create_model(name, layout, 500, **options), contexts("cpu", 1)
    initialize(net, places, 1)
    net.hybridize(static_alloc=True)
    step = TrainingStep(net, make_trainer(net, TrainingOptions()), places, None)
    for ids in batches:
        step(ids, label)
    values = [parameter.data().asnumpy().tobytes() for parameter in named_parameters(net).values()]
    found[name] = hashlib.sha256(b"".join(values)).hexdigest()
print(json.dumps(found))
"""

ELSEWHERE = {"gbdt", "ccpm"}
"""Trees are XGBoost's, convolutions MXNet's."""


def trained(threads):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAINED, ",".join(sorted(declared_models().keys() - ELSEWHERE))],
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.long
def test_parameters_after_some_steps_do_not_depend_on_the_number_of_threads():
    assert trained(1) == trained(3)
