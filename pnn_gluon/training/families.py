"""The families of models by name, and the one that a model is of.

Modules are imported by name, as those of models are: the configuration asks a family, and loads no MXNet.
"""

from importlib import import_module

from pnn_gluon.models.declared import declared
from pnn_gluon.training.family import Family

FAMILIES = {"network": "pnn_gluon.training.networks", "trees": "pnn_gluon.training.trees"}
"""Name of each family, as `pnn_gluon/models/options.json` has it, and the module with its `FAMILY`."""


def family_of(model: str) -> Family:
    """The family of a model.

    Raises:
        ConfigError: there is no model of this name.
    """
    family: Family = import_module(FAMILIES[declared(model).family]).FAMILY
    return family
