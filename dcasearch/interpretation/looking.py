"""Pictures through networks: what each predicts, and its Grad-CAM map at every stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps
from torch import Tensor

from dcasearch.data.augment import resize
from dcasearch.data.batches import Normalize
from dcasearch.data.images import Unreadable, read_rgb
from dcasearch.errors import UserError
from dcasearch.interpretation.gradcam import Empty, enlarge, grad_cam, min_max, top_classes
from dcasearch.interpretation.subjects import Subject

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Picture:
    """One image."""

    name: str
    """Different from every other picture's, and usable in a file's name."""
    pixels: NDArray[np.uint8]
    """Shape (H, W, 3): red, green, blue."""
    label: int | None = None
    """Its class, where it is known."""
    box: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2 of its labelled object, in pixels, where it is known."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, eq=False)
class Look:
    """What one network makes of one picture."""

    subject: Subject
    picture: Picture
    predicted: int
    """The class of its largest logit."""
    probability: float
    """Of the predicted class, by softmax."""
    target: int
    """The class that the maps explain."""
    maps: Mapping[str, Tensor]
    """By stage: the Grad-CAM map at the stage's resolution, shape (h, w), never negative."""

    @property
    def empty(self) -> dict[str, Empty]:
        """Why a stage's map shows no place, by stage; stages whose maps do are left out."""
        said = {stage: min_max(map_hw[None])[1][0] for stage, map_hw in self.maps.items()}
        return {stage: why for stage, why in said.items() if why is not None}

    def scaled(self, stage: str, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return a stage's map at a size (height, width), from 0 to 1; zero where it is empty."""
        scaled: NDArray[np.float32] = min_max(enlarge(self.maps[stage][None], size))[0][0].float().numpy()
        return scaled


def read_pictures(paths: Sequence[Path]) -> list[Picture]:
    """Return images from files, upright as their EXIF says.

    Raises:
        UserError: a file is no image, or cannot be read.
    """
    stems = [path.stem for path in paths]
    pictures = []
    for n, (path, stem) in enumerate(zip(paths, stems, strict=True), start=1):
        try:
            pixels = np.array(ImageOps.exif_transpose(read_rgb(path)))
        except Unreadable as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        pictures.append(Picture(stem if stems.count(stem) == 1 else f"{n}-{stem}", pixels))
    return pictures


def look(subject: Subject, pictures: Sequence[Picture], wanted: str | None = None) -> Iterator[Look]:
    """Yield what a network makes of each picture, in order.

    Args:
        subject: the network.
        pictures: of any size; each is resized to the network's, whole, as the paper's figure does.
        wanted: the class to explain, by name or number; None: of each picture the predicted one.

    Raises:
        UserError: the network has no such class, or captum is not installed.
    """
    number = None if wanted is None else subject.class_number(wanted)
    for first in range(0, len(pictures), _BATCH):
        some = pictures[first : first + _BATCH]
        inputs = network_input(some, subject)
        predicted, probability = top_classes(subject.model, inputs)
        targets = predicted if number is None else torch.full_like(predicted, number)
        maps = grad_cam(subject.model, inputs, targets)
        for n, picture in enumerate(some):
            yield Look(
                subject=subject,
                picture=picture,
                predicted=int(predicted[n]),
                probability=float(probability[n]),
                target=int(targets[n]),
                maps={stage: map_Bhw[n] for stage, map_Bhw in maps.items()},
            )


def network_input(pictures: Sequence[Picture], subject: Subject) -> Tensor:
    """Return pictures as a network takes them: resized (bilinear, antialiased) and normalised, (B, 3, R, R)."""
    side = subject.resolution
    images = [resize(torch.tensor(p.pixels).permute(2, 0, 1)[None].float(), side) for p in pictures]
    mean, std = subject.normalization
    normalized: Tensor = Normalize(mean, std, torch.device("cpu"))(torch.cat(images))
    return normalized
