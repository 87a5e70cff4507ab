"""How a training begins with a weights file: the backbone takes its values, the classifier where the classes agree."""

from __future__ import annotations

from torch import nn

from dcasearch.artifacts import Place, read_bytes
from dcasearch.config.starts import Start
from dcasearch.errors import UserError
from dcasearch.models import DCANet
from dcasearch.models.transfer import Transfer, head_of, take_backbone
from dcasearch.models.weight_files import parse_weights
from dcasearch.training.provenance import CLASSIFIER, STARTED_FROM, STARTED_FROM_NAME
from dcasearch.training.weights import start_path


def begin_with(
    network: nn.Module, content: bytes, start: Start, class_names: tuple[str, ...], *, load: bool = True
) -> Transfer:
    """Load a weights file into a network's backbone; return what became of each tensor.

    Args:
        network: as it was drawn; is changed.
        content: of the file.
        start: which file it is.
        class_names: of the data.
        load: False: only say what would become of each tensor.

    Raises:
        UserError: the network is a detector, or the file is another network's.
    """
    if not isinstance(network, DCANet):
        raise UserError("initialize: weights is for classifiers, not for detectors")
    keep_head = start.class_names in (None, class_names)
    return take_backbone(network, parse_weights(content, start.words), keep_head=keep_head, load=load)


def said_of(start: Start, network: nn.Module, artifacts: Place, class_names: tuple[str, ...]) -> dict[str, str]:
    """Return what provenance says of the weights that a network began with.

    Args:
        start: the weights.
        network: that was trained.
        artifacts: where a weights file lies.
        class_names: of the data.
    """
    said = {STARTED_FROM: start.sha256}
    if start.architecture_id is not None:
        return said
    content = read_bytes(start_path(start, artifacts))
    if content is not None:  # a training that goes on needs no file
        said[CLASSIFIER] = _classifier(network, content, start, class_names)
    return {**said, STARTED_FROM_NAME: start.words}


def _classifier(network: nn.Module, content: bytes, start: Start, class_names: tuple[str, ...]) -> str:
    """Return what became of a file's classifier, also where the training went on from a checkpoint."""
    drawn = set(begin_with(network, content, start, class_names, load=False).drawn)
    return "drawn" if isinstance(network, DCANet) and drawn & set(head_of(network.network)) else "kept"
