"""Batches scored by the peers, PyTorch and ONNX Runtime: workers of `benchmarks.scoring`.

Not part of the product: it is started in an environment of its own. `peer` in the settings is torch_f32, torch_bf16
(autocast) or onnxruntime, which runs the file that PyTorch exports of the same network.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from interleaved import answer
from torch_step import MODELS


def network(s):
    """The network of `torch_step` for inference, with the values of ours if its parameters have the same shapes."""
    torch.manual_seed(1)
    net = MODELS[s["model"]](s | {"optimizer": "dense_adam"}).eval().requires_grad_(False)
    with np.load(Path(s["folder"]) / "values.npz") as stored:
        values = list(stored.values())
    same = [value.shape for value in values] == [tuple(p.shape) for p in net.parameters()]
    if same:
        for parameter, value in zip(net.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(value))
    return net, same


def torch_scorer(net, s):
    """Eager PyTorch: the fastest form we found."""

    def score(ids):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=s["peer"] == "torch_bf16"):
            return net(torch.from_numpy(ids)).float().numpy()

    return score


def onnx_scorer(net, s, ids):
    """ONNX Runtime on the exported graph, for batches of this size."""
    import onnxruntime

    path = Path(s["folder"]) / "network.onnx"
    torch.onnx.export(net, (torch.from_numpy(ids),), path, dynamo=True, input_names=["ids"], verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = s["threads"]
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda ids: session.run(None, {"ids": ids})[0]


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    batches = np.load(Path(s["folder"]) / "ids.npy").astype(np.int64)
    net, same = network(s)
    score = onnx_scorer(net, s, batches[0]) if s["peer"] == "onnxruntime" else torch_scorer(net, s)
    logits = score(batches[0])
    print(json.dumps({"logits": logits[:1000].tolist() if same else None}), flush=True)
    answer(lambda step: score(batches[step % len(batches)]))


if __name__ == "__main__":
    main()
