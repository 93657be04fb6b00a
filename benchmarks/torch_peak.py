"""The limit of this machine: GFLOP/s of matrix products, float32 and bfloat16, the largest of several sizes.

Started by `benchmarks.training_step` in the environment of the peer, with the protocol of `torch_step`: for each line
of input, a number of products of each size, it answers with the fastest of them by precision.
"""

import json
import sys
import time

import torch

SIZES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (2000, 1521, 700), (4096, 1024, 1024))
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def rate(a, b):
    """GFLOP/s of one product (M, K) (K, N)."""
    start = time.perf_counter()
    torch.mm(a, b)
    return 2e-9 * a.shape[0] * a.shape[1] * b.shape[1] / (time.perf_counter() - start)


def main():
    torch.set_num_threads(json.loads(sys.argv[1])["threads"])
    matrices = {
        name: [(torch.randn(m, k).to(kind), torch.randn(k, n).to(kind)) for m, k, n in SIZES]
        for name, kind in TYPES.items()
    }
    for line in sys.stdin:
        fastest = {
            name: max(rate(*pair) for pair in pairs for _ in range(int(line))) for name, pairs in matrices.items()
        }
        print(json.dumps(fastest), flush=True)


if __name__ == "__main__":
    main()
