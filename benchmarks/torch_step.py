"""Training steps of the peer: the same networks written by hand for PyTorch, each in the fastest form we found.

Not part of the product: `benchmarks.training_step` starts this file in an environment of its own. It takes one JSON
object of settings as its argument, then a number of steps from each line of its input, and answers each with a JSON
list of milliseconds. `optimizer` is sparse_adam (SparseAdam for the tables, Adam for the rest) or dense_adam;
`compiled` says whether `torch.compile` makes the MLP's code.
"""

import json
import sys

import numpy as np
import torch
from interleaved import answer
from torch import nn
from torch.nn import functional


class MLP(nn.Sequential):
    """Dense, LayerNorm, ReLU, ..., dense."""

    def __init__(self, inputs, hidden):
        layers = []
        for width in hidden:
            layers += [nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU()]
            inputs = width
        super().__init__(*layers, nn.Linear(inputs, 1))


class Network(nn.Module):
    """Embeddings, a linear part if asked for, an interaction and an MLP if asked for; their sum is the logit."""

    def __init__(self, s, *, linear=False, vector=None):
        super().__init__()
        self.fields, self.k = s["fields"], s["embedding_size"]
        vector = self.k if vector is None else vector
        sparse = s["optimizer"] == "sparse_adam"
        if vector:
            self.embedding = nn.Embedding(s["ids"], vector, sparse=sparse)
        if linear:
            self.linear = nn.Embedding(s["ids"], 1, sparse=sparse)
            self.bias = nn.Parameter(torch.zeros(1))

    def first_order(self, ids):
        return self.linear(ids).sum(dim=(1, 2)) + self.bias


def fm(v):
    """sum_{i<j} <v_i, v_j>."""
    return 0.5 * (v.sum(dim=1).square() - v.square().sum(dim=1)).sum(dim=1)


class LR(Network):
    def __init__(self, s):
        super().__init__(s, linear=True, vector=0)

    def forward(self, ids):
        return self.first_order(ids)


class FM(Network):
    def __init__(self, s):
        super().__init__(s, linear=True)

    def forward(self, ids):
        return self.first_order(ids) + fm(self.embedding(ids))


class FFM(Network):
    def __init__(self, s):
        super().__init__(s, linear=True, vector=(s["fields"] - 1) * s["embedding_size"])
        self.register_buffer("mask", torch.tril(torch.ones(self.fields - 1, self.fields - 1)))

    def forward(self, ids):
        v = self.embedding(ids).view(len(ids), self.fields, self.fields - 1, self.k)
        meetings = torch.einsum("bijk,bjik->bij", v[:, 1:], v[:, :-1])
        return self.first_order(ids) + (meetings * self.mask).sum(dim=(1, 2))


class DeepFM(Network):
    def __init__(self, s):
        super().__init__(s, linear=True)
        self.mlp = MLP(self.fields * self.k, s["hidden"])

    def forward(self, ids):
        v = self.embedding(ids)
        return self.first_order(ids) + fm(v) + self.mlp(v.flatten(1)).squeeze(1)


class IPNN(Network):
    def __init__(self, s):
        super().__init__(s)
        n = self.fields
        self.rows, self.columns = torch.tril_indices(n, n, -1)
        self.norm = nn.LayerNorm(n * (n - 1) // 2)
        self.mlp = MLP(n * self.k + n * (n - 1) // 2, s["hidden"])

    def forward(self, ids):
        v = self.embedding(ids)
        products = torch.bmm(v, v.transpose(1, 2))[:, self.rows, self.columns]
        return self.mlp(torch.cat([v.flatten(1), self.norm(products)], dim=1)).squeeze(1)


class KPNN(Network):
    """Matrix kernels: for each second field one matrix product with the kernels of all its pairs."""

    def __init__(self, s):
        super().__init__(s)
        n, k = self.fields, self.k
        self.kernels = nn.Parameter(torch.eye(k).repeat(n * (n - 1) // 2, 1, 1))
        self.norm = nn.LayerNorm(n * (n - 1) // 2)
        self.mlp = MLP(n * k + n * (n - 1) // 2, s["hidden"])

    def forward(self, ids):
        v = self.embedding(ids)
        products, first = [], 0
        for j in range(1, self.fields):
            kernels = self.kernels[first : first + j].reshape(j * self.k, self.k)
            projected = functional.linear(v[:, j], kernels).view(-1, j, self.k)
            products.append((v[:, :j] * projected).sum(dim=2))
            first += j
        p = self.norm(torch.cat(products, dim=1))
        return self.mlp(torch.cat([v.flatten(1), p], dim=1)).squeeze(1)


class PIN(Network):
    """One batched matrix product over the pairs for each layer of the sub-networks."""

    def __init__(self, s, hidden=40, outputs=5):
        super().__init__(s)
        n, k = self.fields, self.k
        pairs = n * (n - 1) // 2
        self.rows, self.columns = torch.tril_indices(n, n, -1)
        self.w1 = nn.Parameter(torch.randn(pairs, 3 * k, hidden) * 0.1)
        self.b1 = nn.Parameter(torch.zeros(pairs, 1, hidden))
        self.w2 = nn.Parameter(torch.randn(pairs, hidden, outputs) * 0.1)
        self.b2 = nn.Parameter(torch.zeros(pairs, 1, outputs))
        self.gamma, self.beta = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))
        self.mlp = MLP(pairs * outputs, s["hidden"])

    def forward(self, ids):
        v = self.embedding(ids).transpose(0, 1)  # (N, B, K)
        a, b = v[self.rows], v[self.columns]  # (P, B, K)
        h = torch.baddbmm(self.b1, torch.cat([a, b, a * b], dim=2), self.w1)  # (P, B, H)
        variance, mean = torch.var_mean(h, dim=(0, 2), correction=0, keepdim=True)
        h = functional.relu((h - mean) * torch.rsqrt(variance + 1e-5) * self.gamma + self.beta)
        f = torch.baddbmm(self.b2, h, self.w2).transpose(0, 1).flatten(1)  # (B, P D)
        return self.mlp(f).squeeze(1)


class DCN(Network):
    def __init__(self, s, layers=3):
        super().__init__(s)
        width = self.fields * self.k
        self.w, self.b = nn.Parameter(torch.randn(layers, width) * 0.01), nn.Parameter(torch.zeros(layers, width))
        self.output = nn.Linear(width, 1, bias=False)
        self.mlp = MLP(width, s["hidden"])

    def forward(self, ids):
        x = x0 = self.embedding(ids).flatten(1)
        for w, b in zip(self.w, self.b, strict=True):
            x = torch.addcmul(x + b, x0, (x @ w).unsqueeze(1))
        return (self.output(x) + self.mlp(x0)).squeeze(1)


class XDeepFM(Network):
    def __init__(self, s, maps=(100, 100)):
        super().__init__(s, linear=True)
        inputs = (self.fields, *maps)
        self.w = nn.ParameterList(
            nn.Parameter(torch.randn(h, self.fields * g) * 0.01) for g, h in zip(inputs, maps, strict=False)
        )
        self.output = nn.Linear(sum(maps), 1, bias=False)
        self.mlp = MLP(self.fields * self.k, s["hidden"])

    def forward(self, ids):
        v = self.embedding(ids)
        x0 = x = v.transpose(1, 2).reshape(-1, self.fields)  # (B K, N)
        pooled = []
        for w in self.w:
            x = functional.linear((x0.unsqueeze(2) * x.unsqueeze(1)).flatten(1), w)  # (B K, H)
            pooled.append(x.view(len(ids), self.k, -1).sum(dim=1))
        cin = self.output(torch.cat(pooled, dim=1))
        return self.first_order(ids) + (cin + self.mlp(v.flatten(1))).squeeze(1)


class AutoInt(Network):
    def __init__(self, s, layers=3, heads=2, size=16):
        super().__init__(s)
        self.heads, widths = heads, (self.k, *[heads * size] * layers)
        self.projections = nn.ModuleList(nn.Linear(d, 4 * heads * size, bias=False) for d in widths[:-1])
        self.output = nn.Linear(self.fields * heads * size, 1)
        self.mlp = MLP(self.fields * self.k, s["hidden"])

    def forward(self, ids):
        v = e = self.embedding(ids)
        for projection in self.projections:
            query, key, value, residual = projection(e).chunk(4, dim=2)
            query, key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
            attended = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
            e = functional.relu(attended.transpose(1, 2).flatten(2) + residual)
        return (self.output(e.flatten(1)) + self.mlp(v.flatten(1))).squeeze(1)


MODELS = {
    "lr": LR, "fm": FM, "ffm": FFM, "deepfm": DeepFM, "ipnn": IPNN, "kpnn": KPNN, "pin": PIN, "dcn": DCN,
    "xdeepfm": XDeepFM, "autoint": AutoInt,
}  # fmt: skip


def optimizers(net, name):
    """SparseAdam for tables and Adam for the rest, or Adam for all."""
    if name == "dense_adam":
        return [torch.optim.Adam(net.parameters(), 1e-3)]
    tables = [m.weight for m in net.modules() if isinstance(m, nn.Embedding)]
    chosen = {id(table) for table in tables}
    rest = [p for p in net.parameters() if id(p) not in chosen]
    return [torch.optim.SparseAdam(tables, 1e-3), torch.optim.Adam(rest, 1e-3)]


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    torch.manual_seed(1)
    net = MODELS[s["model"]](s)
    if s["compiled"]:
        net.mlp = torch.compile(net.mlp)
    updates = optimizers(net, s["optimizer"])
    loss = nn.BCEWithLogitsLoss()
    data = np.load(s["data"])
    batches = [torch.tensor(batch, dtype=torch.int64) for batch in data["ids"]]
    label = torch.tensor(data["label"])

    def step(ids):
        for update in updates:
            update.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=s["precision"] == "bf16"):
            value = loss(net(ids).float(), label)
        value.backward()
        for update in updates:
            update.step()

    answer(lambda number: step(batches[number % len(batches)]))


if __name__ == "__main__":
    main()
