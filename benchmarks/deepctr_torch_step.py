"""Training steps of DeepCTR-Torch, for `benchmarks.training_step`; the protocol is that of `torch_step`.

The library has no step that can be called alone: a step is `fit` on the rows of one batch, its loader with it. As its
users get it: a table for each field (together as many rows as ours), Adam on the whole tables, no normalization.
fm is its DeepFM without hidden layers, kpnn its PNN with matrix kernels; the heads of its AutoInt have K / 2 numbers.
`regularizer` is the L2 strength of tables and cross layers; 1e-5 is its default.
"""

import json
import os
import sys
from types import ModuleType

import numpy as np
import torch
from interleaved import answer

answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the library prints a few lines each time
sys.modules["requests"] = ModuleType("requests")  # with which it would look for a newer version of itself

from deepctr_torch import models  # noqa: E402
from deepctr_torch.inputs import SparseFeat  # noqa: E402


def model(s, columns):
    """The model of this name with our sizes."""
    deep = {"dnn_hidden_units": tuple(s["hidden"]), "l2_reg_embedding": s["regularizer"]}
    linear = {"l2_reg_linear": s["regularizer"]}
    match s["model"]:
        case "fm":
            return models.DeepFM(columns, columns, **deep | linear | {"dnn_hidden_units": ()})
        case "deepfm":
            return models.DeepFM(columns, columns, **deep, **linear)
        case "ipnn":
            return models.PNN(columns, **deep)
        case "kpnn":
            return models.PNN(columns, use_inner=False, use_outter=True, kernel_type="mat", **deep)
        case "dcn":
            return models.DCN([], columns, cross_num=3, l2_reg_cross=s["regularizer"], **deep)
        case "xdeepfm":
            cin = {"cin_layer_size": (100, 100), "cin_split_half": False, "cin_activation": "linear"}
            return models.xDeepFM(columns, columns, **cin, **deep, **linear)
        case "autoint":
            return models.AutoInt([], columns, att_layer_num=3, att_head_num=2, **deep)
    raise SystemExit(f"DeepCTR-Torch has no {s['model']}")


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    names, rows = [f"f{n}" for n in range(s["fields"])], s["ids"] // s["fields"]
    net = model(s, [SparseFeat(name, rows, s["embedding_size"]) for name in names])
    net.compile("adam", "binary_crossentropy")
    data = np.load(s["data"])
    batches = [{name: ids[:, n] for n, name in enumerate(names)} for ids in data["ids"] % rows]
    label = data["label"]

    def step(number):
        net.fit(batches[number % len(batches)], label, batch_size=len(label), verbose=0, shuffle=False)

    answer(step, answers)


if __name__ == "__main__":
    main()
