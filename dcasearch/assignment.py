"""One training as a frozen, picklable noun: what goes to a worker. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dcasearch.architecture import Architecture, family_of
from dcasearch.architecture.layouts import TORCHVISION_CLASSES
from dcasearch.config.data_set import SHAPES_WITH_BOXES, Data
from dcasearch.config.detector import Detector
from dcasearch.config.starts import Start
from dcasearch.config.study import Fidelity
from dcasearch.evaluation import EvaluationKey, EvaluationProtocol, fingerprint
from dcasearch.metrics import CLASSIFICATION

_ALPHA = 1.0
"""α's usual start, `Alpha.init`'s default."""
NUMERICS = 1
"""Rises with a change of this package after which an equal assignment gives other values: records made before it are
then of another key. Left out of the key while it is 1."""
NUMERICS_OF_DATA = {"imagefolder": 2, "imagenet": 2}
"""The same for a change that concerns some data sets alone. 2: a JPEG is decoded at a fraction of its size where the
crop does not need more."""
EVALUATION_ORDER = 1
"""Of the images that a network with `message: shuffled` is measured on (`dcasearch.data.split.mixed_order`): rises with
a change of it. Other networks are measured in the stored order, which is not in their keys."""
_CLASSES = {"digits": 10, "shapes": 8, SHAPES_WITH_BOXES: 3, "cifar10": 10, "imagenet": TORCHVISION_CLASSES}
"""Of the data sets whose number of classes is known by name."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What is to be trained (or scored), how, on what, and what it is measured on."""

    architecture: Architecture
    fidelity: Fidelity
    data: Data
    data_fingerprint: str
    """`DataInfo.fingerprint`; a worker whose data has another one refuses the assignment."""
    protocol: EvaluationProtocol
    seed: int
    """Of parameters, batch order, augmentation and dropout."""
    task: str = CLASSIFICATION.name
    """What is learned, an entry of `dcasearch.metrics.TASKS`."""
    metrics: tuple[str, ...] = ()
    """What is measured beside the task's own metrics (`Study.further_metrics`)."""
    detector: Detector | None = None
    """What stands on the network, where the task is detection."""
    start: Start | None = None
    """Weights that the network begins with: a file's in its backbone, or an exported network's under a detector."""
    parent: Assignment | None = None
    """A training that has to end before this one. It is the vanilla network's that this one starts from: what they have
    in common is loaded, the rest drawn. Where a message is constant, this one starts from scratch, and the messages
    of the parent's network are averaged."""
    parent_sha256: str | None = None
    """Of the parent's weights, once they are there."""

    @property
    def starts_from_parent(self) -> bool:
        """Whether the parent's weights are loaded; else they are measured for the constant messages."""
        return self.parent is not None and not self.architecture.network.has_constants

    @property
    def key(self) -> EvaluationKey:
        """What identifies the result, whichever study or trial asked for it."""
        return EvaluationKey(
            architecture_id=self.architecture.id,
            fidelity=fingerprint(self._fidelity_meaning()),
            data=self.data_fingerprint,
            protocol=self.protocol,
            seed=self.seed,
        )

    def _fidelity_meaning(self) -> dict[str, Any]:
        if self.fidelity.kind == "zero_cost":
            return self._alpha() | self._score_meaning()
        # Defaults are left out, so that a recipe which gains a field keeps the records made without it.
        meaning: dict[str, Any] = {
            "resolution": self.fidelity.resolution,
            "epochs": self.fidelity.epochs,
            "train_fraction": self.fidelity.train_fraction,
            "recipe": self.fidelity.recipe.model_dump(mode="json", exclude_defaults=True, exclude={"classifier_init"}),
        }
        if self.task != CLASSIFICATION.name:  # left out, so that records made before there were others stay
            meaning["task"] = self.task
        if self.metrics:  # a record without them cannot serve who asks for them
            meaning["metrics"] = sorted(self.metrics)
        if self.detector is not None:
            meaning["detector"] = self.detector.meaning()
        if self.start is not None:
            meaning["start"] = self.start.sha256
            if self.start.class_names is not None:  # they decide whether the classifier is kept
                meaning["start"] += f" {fingerprint(self.start.class_names)}"
        if self.parent is not None:
            meaning["parent"] = self.parent.key.id
        if self.architecture.network.mixes_images:
            meaning["evaluation_order"] = EVALUATION_ORDER
        return meaning | self._alpha() | self._numerics() | self._classifier()

    def _score_meaning(self) -> dict[str, Any]:
        fidelity = self.fidelity
        if fidelity.score == "synflow":  # which sees no image
            return {"score": fidelity.score, "resolution": fidelity.resolution} | self._classifier()
        seen = fidelity.recipe.model_dump(mode="json", include={"batch_size", "augmentation"})
        if fidelity.recipe.sampling != "uniform":  # left out, so that records made before there were others stay
            seen["sampling"] = fidelity.recipe.sampling
        chosen = fidelity.model_dump(include={"score", "batches", "resolution", "train_fraction"})
        return chosen | seen | self._numerics() | self._classifier()

    def _numerics(self) -> dict[str, Any]:
        numerics = max(NUMERICS, NUMERICS_OF_DATA.get(self.data.name, 1))
        return {} if numerics == 1 else {"numerics": numerics}

    def _classifier(self) -> dict[str, Any]:
        """Return the backbone's numerics of few classes, unless they are those of the first records.

        The classes of a folder of images are not known here: it counts as one of few classes.
        """
        if self.fidelity.recipe.classifier_init == "torchvision":
            return {}
        family = family_of(self.architecture.backbone.name)
        changed = {} if family is None else family.few_classes
        wanted = self.data.classes
        if wanted is None:
            classes = _CLASSES.get(self.data.name, 0)
        else:
            classes = wanted if isinstance(wanted, int) else len(wanted)
        return {} if classes >= TORCHVISION_CLASSES else dict(changed)

    def _alpha(self) -> dict[str, Any]:
        """Return where α starts, which is of the training and not of the architecture's id, unless as usual."""
        network = self.architecture.network
        unusual = network.alpha_init != _ALPHA and any(edge.alpha for edge in network.edges)
        return {"alpha_init": network.alpha_init} if unusual else {}
