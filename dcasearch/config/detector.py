"""A detector as a study's YAML says it: which one, with whose settings, and what differs from them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from dcasearch.architecture.specification import Frozen
from dcasearch.config.numbers import PositiveRate, Size, SizeOrNone

Preset: TypeAlias = Literal["torchvision", "paper", "released"]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
_LONG, _SHORT = 1333, 800
"""COCO's usual limits of the longer and the shorter side, in pixels."""


def longest_side(resolution: int) -> int:
    """Return the limit of the longer side for a resolution of the shorter one: 1333 for 800, and in proportion."""
    return max(resolution, resolution * _LONG // _SHORT)


class PyramidSettings(Frozen):
    """What every detector has: its pyramid, and which part of the network learns."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By name of a preset what it changes."""
    scales: ClassVar[tuple[int, ...]] = ()
    """Of the stages that the pyramid takes: pixels of the image per pixel of a map, along a side, rising."""

    preset: Preset = "torchvision"
    """Whose settings are meant where none are written. `paper` is of the paper's Table 7; the released configurations
    differ from its text in the recipe alone."""
    channels: Size = 256
    """Of every map of the pyramid."""
    frozen_stages: SizeOrNone | None = None
    """The stem and so many stages after it learn nothing, with their attention and connections, and stay in evaluation
    mode; None: the stem learns too."""
    bn: Literal["train", "eval", "sync"] = "train"
    """BatchNorm's statistics in the parts that learn. `eval`: those that the network brings stay, weights and biases
    learn. `sync`: over the whole batch of all GPUs of a training."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, written: Any) -> Any:
        """Fill in the preset's settings."""
        chosen = cls.presets.get(written.get("preset", "torchvision")) if isinstance(written, Mapping) else None
        return written if chosen is None else {**chosen, **written}

    def meaning(self) -> dict[str, Any]:
        """Return what makes it another detector: name and settings, without those that are torchvision's."""
        plain = self.model_dump(mode="json")
        unlike = self.model_dump(mode="json", exclude_defaults=True, exclude={"preset"})
        return {"name": plain["name"], **unlike}


class RetinaNetSettings(PyramidSettings):
    """What differs between RetinaNets; the defaults are torchvision's `retinanet_resnet50_fpn`.

    The heads have as many channels as the pyramid.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"p6": "C5", "smooth_l1": 0.11, "detections": 100, "frozen_stages": 1, "bn": "eval"}
        for name in ("paper", "released")
    }

    scales = (8, 16, 32)

    name: Literal["retinanet"] = "retinanet"
    """The detector."""
    convolutions: Annotated[int, Field(ge=1, le=4)] = 4
    """Of each head, before its output."""
    anchor: Size = 32
    """Pixels per side of the smallest anchor, on the finest map; each coarser map doubles it."""
    p6: Literal["C5", "P5"] = "P5"
    """What the map after the pyramid's coarsest one is made of."""
    smooth_l1: PositiveRate | None = None
    """β of the boxes' loss; None: L1."""
    detections: Size = 300
    """Most of an image."""


class CascadeSettings(PyramidSettings):
    """What differs between cascades; the defaults are torchvision's of `fasterrcnn_resnet50_fpn`, in three stages."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"proposals": 2000, "smooth_l1": 1.0, "frozen_stages": 1, "bn": "eval"} for name in ("paper", "released")
    }

    scales = (4, 8, 16, 32)

    name: Literal["cascade_rcnn"] = "cascade_rcnn"
    """The detector."""
    hidden: Size = 1024
    """Width of the two layers of each stage's head."""
    anchor: Size = 32
    """Pixels per side of the RPN's anchors on the finest map; each coarser map doubles it. A region of seven times as
    many is pooled from the map of scale 16."""
    proposals: Size = 1000
    """Most of the RPN for an image, in evaluation, and most of a map before that; in training both are 2000."""
    regions: Size = 512
    """Of an image, drawn for the loss of each stage; at most a quarter has objects."""
    smooth_l1: PositiveRate = 1 / 9
    """β of the stages' loss of boxes; the RPN's is 1/9."""
    score: Share = 0.05
    """A detection scores more."""
    nms: Share = 0.5
    """Of two detections of a class that overlap by a higher IoU, the better one is kept."""
    detections: Size = 100
    """Most of an image."""


def _with_name(written: object) -> object:
    return {"name": written} if isinstance(written, str) else written


_Settings: TypeAlias = Annotated[RetinaNetSettings | CascadeSettings, Field(discriminator="name")]
Detector: TypeAlias = Annotated[
    _Settings,
    BeforeValidator(_with_name, json_schema_input_type=Literal["retinanet", "cascade_rcnn"] | _Settings),
]
"""The known detectors; `name` says which one. A name alone is the detector with torchvision's settings."""
