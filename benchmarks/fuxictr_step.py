"""Training steps of FuxiCTR, for `benchmarks.training_step`; the protocol is that of `torch_step`.

The package has the base model with its training step and the layers; the models themselves lie beside it as examples.
So each network here is a few of its layers in its base model, and a step is the base model's `train_step`: forward,
backward, clipping of the gradients' norm, Adam on the whole tables. As in its examples each field has a table of its
own (together as many rows as ours), and the dense layers have no normalization. `regularizer` is its
`embedding_regularizer`; 1e-8 is that of its examples.
"""

import json
import sys
import tempfile

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch import layers
from fuxictr.pytorch.models import BaseModel
from interleaved import answer
from torch import nn

LABEL = "label"
GRADIENT_NORM = 10.0  # the default of its `fit`


class Network(BaseModel):
    """The sum of parts of a model; ends with the sigmoid that its loss expects."""

    def __init__(self, feature_map, s, vectors=True):
        super().__init__(
            feature_map,
            embedding_regularizer=s["regularizer"],
            verbose=0,
            model_root=tempfile.gettempdir(),
            metrics=["logloss"],
        )
        self.fields, self.width = feature_map.num_fields, feature_map.num_fields * s["embedding_size"]
        self.vectors = layers.FeatureEmbedding(feature_map, s["embedding_size"]) if vectors else None
        self._max_gradient_norm = GRADIENT_NORM

    def ready(self):
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        return self.train()

    def forward(self, inputs):
        x = self.get_inputs(inputs)
        v = None if self.vectors is None else self.vectors(x)
        return {"y_pred": self.output_activation(self.logit(x, v))}


class LR(Network):
    def __init__(self, feature_map, s):
        super().__init__(feature_map, s, vectors=False)
        self.linear = layers.LogisticRegression(feature_map)

    def logit(self, x, v):
        return self.linear(x)


class FM(Network):
    def __init__(self, feature_map, s):
        super().__init__(feature_map, s)
        self.fm = layers.FactorizationMachine(feature_map)

    def logit(self, x, v):
        return self.fm(x, v)


class DeepFM(FM):
    def __init__(self, feature_map, s):
        super().__init__(feature_map, s)
        self.mlp = layers.MLP_Block(self.width, s["hidden"], output_dim=1)

    def logit(self, x, v):
        return super().logit(x, v) + self.mlp(v.flatten(1))


class IPNN(Network):
    def __init__(self, feature_map, s):
        super().__init__(feature_map, s)
        self.products = layers.InnerProductInteraction(self.fields, output="inner_product")
        self.mlp = layers.MLP_Block(self.width + self.products.interaction_units, s["hidden"], output_dim=1)

    def logit(self, x, v):
        return self.mlp(torch.cat([v.flatten(1), self.products(v)], dim=1))


class DCN(Network):
    def __init__(self, feature_map, s, cross_layers=3):
        super().__init__(feature_map, s)
        self.cross = layers.CrossNet(self.width, cross_layers)
        self.cross_output = nn.Linear(self.width, 1, bias=False)
        self.mlp = layers.MLP_Block(self.width, s["hidden"], output_dim=1)

    def logit(self, x, v):
        return self.cross_output(self.cross(v.flatten(1))) + self.mlp(v.flatten(1))


class XDeepFM(Network):
    def __init__(self, feature_map, s, feature_maps=(100, 100)):
        super().__init__(feature_map, s)
        self.linear = layers.LogisticRegression(feature_map)
        self.cin = layers.CompressedInteractionNet(self.fields, list(feature_maps))
        self.mlp = layers.MLP_Block(self.width, s["hidden"], output_dim=1)

    def logit(self, x, v):
        return self.linear(x) + self.cin(v) + self.mlp(v.flatten(1))


MODELS = {"lr": LR, "fm": FM, "deepfm": DeepFM, "ipnn": IPNN, "dcn": DCN, "xdeepfm": XDeepFM}


def feature_map(s):
    """Fields of one categorical value each, with an equal part of the ids."""
    described = FeatureMap("benchmark", tempfile.gettempdir())
    rows = s["ids"] // s["fields"]
    for field in range(s["fields"]):
        described.features[f"f{field}"] = {"type": "categorical", "source": "", "vocab_size": rows}
    described.labels, described.num_fields = [LABEL], s["fields"]
    return described


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    torch.manual_seed(1)
    fields = feature_map(s)
    net = MODELS[s["model"]](fields, s).ready()
    data = np.load(s["data"])
    ids = torch.tensor(data["ids"] % (s["ids"] // s["fields"]), dtype=torch.int64)
    label = torch.tensor(data["label"])
    batches = [{LABEL: label} | {name: batch[:, n] for n, name in enumerate(fields.features)} for batch in ids]
    answer(lambda number: net.train_step(batches[number % len(batches)]))


if __name__ == "__main__":
    main()
