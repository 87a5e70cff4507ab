"""From an architecture to a network: backbones, attention blocks and connections, their initial values and cost."""

from dcasearch.models.build import DCANet, build_model, load_backbone
from dcasearch.models.constants import set_constants
from dcasearch.models.cost import cost
from dcasearch.models.equal_size import EqualSize, vanilla_of_equal_size
from dcasearch.models.initialization import initialize

__all__ = [
    "DCANet",
    "EqualSize",
    "build_model",
    "cost",
    "initialize",
    "load_backbone",
    "set_constants",
    "vanilla_of_equal_size",
]
