"""The network of a bundle with its parts and room for gradients, which a bundle that only scores has not."""

from pathlib import Path

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.declared import is_own, with_tuples
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.serving.bundle import BundleCard
from pnn_gluon.training.export import exported_values, load_exported
from pnn_gluon.training.parameters import put_values


def network_of(folder: Path, card: BundleCard, layout: FieldLayout) -> HybridBlock:
    """The trained network: built anew with its parameters; for a model of the user's, the exported graph.

    Args:
        folder: The bundle's.
        card: Its card.
        layout: The fields of its map.

    Raises:
        InputError: the files cannot be read, or are not of this model.
    """
    name = card.model["name"]
    if is_own(name):
        return _with_row_gradients(load_exported(folder))
    options = {option: with_tuples(value) for option, value in card.model["options"].items()}
    net = create_model(name, layout, card.model["size"], **options)
    values = exported_values(net, folder)
    for parameter in net.collect_params().values():  # zeros at first: large tables take long to draw
        parameter.initialize(init=mx.init.Zero())
    put_values(net, values, str(folder))
    return net


def _with_row_gradients(exported: HybridBlock) -> HybridBlock:
    """An exported graph does not say that gradients of its row parameters are sparse, which its operators insist on."""
    for name, parameter in exported.collect_params().items():
        parameter.grad_req = "null"
        if is_row_parameter(name):
            parameter._grad_stype = "row_sparse"
        parameter.grad_req = "write"
    return exported
