"""Numbers of trainable parameters in He & Chua (2017), table 3, in millions: what the compared models are made of."""

import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model

DATA = {"frappe": (10, 5382), "movielens": (3, 90_445)}
SIZES = {
    ("fm", "frappe"): (0.69, 1.38),
    ("fm", "movielens"): (11.67, 23.24),
    ("hofm", "frappe"): (1.38, 2.76),
    ("hofm", "movielens"): (23.24, 46.40),
    ("wdl", "frappe"): (2.66, 4.66),
    ("wdl", "movielens"): (12.72, 24.69),
    ("deepcross", "frappe"): (4.47, 8.93),
    ("deepcross", "movielens"): (12.71, 25.42),
    ("nfm", "frappe"): (0.71, 1.45),
    ("nfm", "movielens"): (11.68, 23.31),
}


def settings(name, size):
    """Of 4.1.3 and 4.4: three layers beside the wide part, one layer of the embedding's width above the pooling."""
    plain = {"normalization": "none"} if name in {"wdl", "deepcross"} else {}
    hidden = {"wdl": {"hidden": (1024, 512, 256)}, "nfm": {"hidden": (size,)}}.get(name, {})
    return {"embedding_size": size} | plain | hidden


@pytest.mark.parametrize("which", [0, 1], ids=["factors=128", "factors=256"])
@pytest.mark.parametrize(("name", "data"), SIZES)
def test_models_have_the_papers_number_of_parameters(name, data, which):
    fields, ids = DATA[data]
    layout = FieldLayout.single_valued(tuple(f"field{i}" for i in range(fields)))
    net = create_model(name, layout, ids, **settings(name, (128, 256)[which]))
    trainable = [parameter for parameter in net.collect_params().values() if parameter.grad_req != "null"]
    millions = sum(np.prod(parameter.shape) for parameter in trainable) / 1e6
    assert millions == pytest.approx(SIZES[name, data][which], abs=0.0051)
