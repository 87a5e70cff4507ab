"""Grad-CAM (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391) at every stage, by captum.

The weight of a channel is the spatial mean of the gradient of one class's logit; a map is the ReLU of the weighted sum
of the stage's channels. The paper's Figure 4 draws it so: gradient and map at each stage's output, bilinear
enlargement, and a min-max a image, here with a guard.

B images, C channels, h x w pixels of a stage's map, H x W pixels of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.errors import UserError

Empty: TypeAlias = Literal["zero everywhere", "equal everywhere"]
"""Why a map has no places to show: its minimum is its maximum."""


def grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    layers: Mapping[str, nn.Module] | None = None,
) -> Mapping[str, Tensor]:
    """Return the Grad-CAM map of each image at each stage, by the stage's name; (B, h, w), never negative.

    The model runs in evaluation mode; its modes and its parameters' gradients stay as they were.

    Args:
        model: gives logits (B, classes).
        images: normalised, shape (B, 3, H, W), on the model's device.
        targets: class of each image, shape (B,), whole numbers; None: the class of the largest logit.
        layers: where to look, by name: modules whose output is one map (B, C, h, w); None: `model.taps`.

    Raises:
        UserError: captum is not installed.
        ValueError: there is no image, a target is no class, or the model has no taps and no layers are given.
    """
    layer_grad_cam = _captum()
    if not len(images):
        raise ValueError("there is no image")
    found: dict[str, Tensor] = {}
    with _evaluating(model):
        if targets is None:
            targets = top_classes(model, images)[0]
        # Inputs that need a gradient give every map one, also where all parameters are frozen.
        inputs = images.detach().clone().requires_grad_()
        for name, layer in (_taps(model) if layers is None else layers).items():
            summed_B1hw = layer_grad_cam(model, layer).attribute(inputs, targets, relu_attributions=True)
            found[name] = summed_B1hw[:, 0].detach()
    return found


def top_classes(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the class of the largest logit and its probability (softmax), each of shape (B,).

    Args:
        model: gives logits (B, classes); runs in evaluation mode.
        images: normalised, shape (B, 3, H, W).
    """
    with torch.no_grad(), _evaluating(model):
        probability_B, class_B = model(images).softmax(1).max(1)
    return class_B, probability_B


def enlarge(map_Bhw: Tensor, size: Sequence[int]) -> Tensor:
    """Return maps at the size of an image: bilinear, corners not aligned; shape (B, H, W).

    Args:
        map_Bhw: maps at a stage's resolution.
        size: H and W.
    """
    return F.interpolate(map_Bhw[:, None], size=tuple(size), mode="bilinear", align_corners=False)[:, 0]


def min_max(map_BHW: Tensor) -> tuple[Tensor, list[Empty | None]]:
    """Bring each map to 0..1 by its own minimum and maximum; say which maps have none to divide by.

    A map that is equal everywhere (zero, or of one pixel) stays zero and is named.

    Returns:
        The maps, shape (B, H, W); for each map why it is empty, or None.
    """
    low_B11, high_B11 = map_BHW.amin((1, 2), keepdim=True), map_BHW.amax((1, 2), keepdim=True)
    spread_B11 = high_B11 - low_B11
    # An enlargement of a constant map differs from it by rounding.
    flat_B11 = spread_B11 <= 1e-6 * high_B11.abs()
    scaled = torch.where(flat_B11, 0, (map_BHW - low_B11) / spread_B11.where(~flat_B11, 1))
    said: list[Empty | None] = [
        None if not flat else ("zero everywhere" if high == 0 else "equal everywhere")
        for flat, high in zip(flat_B11.flatten().tolist(), high_B11.flatten().tolist(), strict=True)
    ]
    return scaled, said


def _taps(model: nn.Module) -> Mapping[str, nn.Module]:
    taps = getattr(model, "taps", None)
    if not isinstance(taps, nn.ModuleDict):
        raise ValueError(f"{type(model).__name__} has no taps; say at which layers to look")
    return dict(taps.items())


def _captum() -> Any:
    """Return captum's LayerGradCam; importing captum takes seconds."""
    try:
        from captum.attr import LayerGradCam
    except ImportError:
        raise UserError("Grad-CAM needs captum: pip install 'dcasearch[gradcam]'") from None
    return LayerGradCam


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode, and each one's own mode back afterwards."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
