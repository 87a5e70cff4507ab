"""The trained network that a proposed study starts from, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dcasearch.analysis.starts import try_start
from dcasearch.architecture import Architecture
from dcasearch.architecture.backbone import Backbone
from dcasearch.architecture.layouts import BACKBONES
from dcasearch.architecture.libraries import is_of_library
from dcasearch.config import load_recipe
from dcasearch.config.document import load_plain_yaml
from dcasearch.config.initialization import Initialization
from dcasearch.config.probe import FileProbe, probe_beside, read_probe
from dcasearch.config.starts import is_published, named, origin_of
from dcasearch.errors import UserError
from dcasearch.files import expanded
from dcasearch.proposal.template import DEFAULT_BACKBONE

RECIPE = "finetune"
"""The recipe of trainings that start from trained weights."""
SCRATCH = "scratch"
"""In place of weights: random values, also where weights are found."""
_SPECS = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class TrainedStart:
    """Weights for every network of the study."""

    weights: str
    """The file, absolute, an exported spec, or the name of a library's weights."""
    backbone: str
    width: float = 1.0
    found: bool = False
    """Nobody named it: it lies in a library's cache."""

    @property
    def epochs(self) -> int:
        """Of a full training, as the recipe says."""
        epochs = load_recipe(RECIPE).epochs
        assert epochs is not None  # the shipped recipe has them
        return epochs


def chosen_start(weights: str | None, backbone: str | None) -> TrainedStart | None:
    """Return what the networks start from: what the user names, else the library's own weights if they are here.

    Args:
        weights: as for `start_from`, or `scratch` for random values.
        backbone: the network; None: the one that is proposed.

    Raises:
        UserError: as `start_from`.
    """
    if weights == SCRATCH:
        return None
    return start_in_cache(backbone or DEFAULT_BACKBONE) if weights is None else start_from(weights, backbone)


def start_from(weights: str, backbone: str | None) -> TrainedStart:
    """Return the start from weights that a user names.

    Args:
        weights: a file, an exported spec, or the name of a library's weights.
        backbone: the network; None: what the spec, the name or the probe beside the file says.

    Raises:
        UserError: the file is missing, nobody says which network it is of, or it is another network's.
    """
    width = 1.0
    if is_published(weights):
        backbone = backbone or weights.partition(".")[0]
    elif Path(weights).suffix in _SPECS:
        written = _backbone_of_spec(weights)
        if written.arguments or written.own_attention != "keep" or written.stem != "imagenet":
            raise UserError(
                f"--weights: the network of {weights} has arguments, a small stem or its own attention changed, which "
                "init does not write: copy its search space, and add initialize: {weights: …} to its study"
            )
        width = written.width
        backbone = backbone or written.name
    elif backbone is None:
        beside = probe_beside(expanded(weights))
        probe: FileProbe | None = read_probe(beside) if beside.is_file() else None
        if probe is None or probe.network is None:
            raise UserError(
                f"--weights: nobody says which network {weights} is of; add --backbone NAME, e.g. --backbone "
                "timm/tf_efficientnet_lite0 (`dcasearch backbones` lists networks)"
            )
        backbone = probe.network
    return _tried(TrainedStart(weights=named(weights), backbone=backbone, width=width))


def start_in_cache(backbone: str) -> TrainedStart | None:
    """Return the start from a library's own weights of a network, where they lie on this machine already."""
    weights = backbone if is_of_library(backbone) else f"torchvision/{backbone}"
    try:
        origin = origin_of(Initialization(name="weights", weights=weights))
    except UserError:  # the library has none, or none that this package can prepare images for
        return None
    if origin.file is None:
        return None
    return _tried(TrainedStart(weights=weights, backbone=backbone, found=True))


def _tried(start: TrainedStart) -> TrainedStart:
    """Return a start that fits its network, so that nothing is written for one that does not."""
    if not is_of_library(start.backbone) and start.backbone not in BACKBONES:
        return start  # the plan says what is known
    try_start(Initialization(name="weights", weights=start.weights), Backbone(name=start.backbone, width=start.width))
    return start


def _backbone_of_spec(spec: str) -> Backbone:
    try:
        return Architecture.parse(load_plain_yaml(expanded(spec))["architecture"]).backbone
    except (KeyError, TypeError):
        raise UserError(f"--weights: {spec} is no exported model; `dcasearch export` writes one") from None
