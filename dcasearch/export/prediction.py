"""What an exported network sees in images of the user's own: classes with probabilities, or boxes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import pil_to_tensor

from dcasearch.config.data_set import NEWEST_READING
from dcasearch.data.applied import applied
from dcasearch.data.files import START_METHOD, leave_group
from dcasearch.data.images import Unreadable, read_rgb
from dcasearch.data.listing import PassedOver, images_in
from dcasearch.data.reading import READINGS, Reading
from dcasearch.errors import DataError, UserError
from dcasearch.export.loading import load_model
from dcasearch.export.spec import Spec, load_spec
from dcasearch.metrics import TASKS
from dcasearch.training.network import choose_device


@dataclass(frozen=True)
class Guess:
    """One class, or one box, that a network sees."""

    label: str
    """Name of the class; its number where the spec has no names."""
    score: float
    """Probability of the class, or score of the box."""
    box: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2 in pixels of the image, of a detector."""


@dataclass(frozen=True)
class Prediction:
    """What a network sees in one image."""

    path: str
    guesses: tuple[Guess, ...] = ()
    """The likeliest first."""
    unreadable: str | None = None
    """Why the image could not be read."""


@dataclass(frozen=True)
class Images:
    """The files to look at."""

    paths: tuple[str, ...]
    passed: PassedOver
    """What folders hold beside images."""


def images_of(places: Sequence[Path]) -> Images:
    """Return the image files of some files and folders, those of a folder in alphabetical order.

    Raises:
        DataError: there is no such file or folder, or none holds an image.
    """
    paths: list[str] = []
    passed = PassedOver()
    for place in places:
        if place.is_dir():
            found = sorted(name for name, _ in images_in(place, READINGS[NEWEST_READING], passed))
            paths += [str(place / name) for name in found]
        elif place.exists():
            paths.append(str(place))  # its ending is the user's affair
        else:
            raise DataError(f"there is no file or folder {place}")
    if not paths:
        raise DataError(f"{', '.join(map(str, places))} holds no image")
    return Images(tuple(dict.fromkeys(paths)), passed)


def predict(
    path: str | Path,
    images: Sequence[str],
    *,
    top: int = 5,
    score: float = 0.05,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "auto",
) -> Iterator[Prediction]:
    """Yield what the network of a spec sees in each image, in their order.

    Args:
        path: the spec; its weights lie beside it.
        images: files.
        top: how many classes, or boxes at most.
        score: a box of a lower score is left out.
        batch_size: images at a time.
        workers: processes that read files.
        device: auto, cpu, cuda, …

    Raises:
        UserError: the spec or its weights are missing or broken, or it does not say how images are prepared.
    """
    spec = load_spec(path)
    where = choose_device(device)
    network = load_model(path).to(where)
    reading = reading_of(spec)
    if TASKS[spec.task].finds_boxes:
        see: Callable[[list[Tensor]], list[tuple[Guess, ...]]] = _Boxes(network, spec, where, top, score)
        files: Dataset[tuple[str, Tensor | str]] = _Files(images, reading, None)
    else:
        if spec.preprocessing is None:
            raise UserError(
                f"{path} does not say how images are prepared: an older version wrote it. Export it anew, or use "
                "`dcasearch evaluate` with the data"
            )
        see = _Classes(network, spec, where, top)
        files = _Files(images, reading, spec)
    loader: DataLoader[list[tuple[str, Tensor | str]]] = DataLoader(
        files,  # type: ignore[arg-type]  # the collation returns the items as a list
        batch_size=batch_size,
        num_workers=workers,
        multiprocessing_context=START_METHOD if workers else None,
        collate_fn=list,
        worker_init_fn=leave_group,
    )
    for batch in loader:
        readable = [pixels for _, pixels in batch if isinstance(pixels, Tensor)]
        seen = iter(see(readable) if readable else [])
        for name, pixels in batch:
            if isinstance(pixels, str):
                yield Prediction(name, unreadable=pixels)
            else:
                yield Prediction(name, next(seen))


def reading_of(spec: Spec) -> Reading:
    """Return how a spec's images are read; of a spec that does not say it as the newest version does."""
    if spec.data is None:
        return READINGS[NEWEST_READING]
    reading = READINGS[spec.data.reading]
    return reading.lying() if spec.data.name == "imagenet" else reading


class _Files(Dataset[tuple[str, Tensor | str]]):
    """Each image as the network's input, or why it cannot be read."""

    def __init__(self, paths: Sequence[str], reading: Reading, spec: Spec | None) -> None:
        self._paths, self._reading = paths, reading
        self._how = None if spec is None else spec.preprocessing

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[str, Tensor | str]:
        path = self._paths[index]
        try:
            image = read_rgb(path, self._reading)
        except Unreadable as error:
            return path, str(error)
        return path, pil_to_tensor(image).float() / 255 if self._how is None else applied(self._how, image)


class _Classes:
    """The likeliest classes of each image."""

    def __init__(self, network: nn.Module, spec: Spec, device: torch.device, top: int) -> None:
        self._network, self._device = network, device
        self._names = names_of(spec)
        self._top = min(top, spec.num_classes)

    @torch.no_grad()
    def __call__(self, images: list[Tensor]) -> list[tuple[Guess, ...]]:
        logits: Tensor = self._network(torch.stack(images).to(self._device))
        values, classes = logits.float().softmax(1).topk(self._top)
        return [
            tuple(Guess(self._names[label], value) for value, label in zip(row, labels, strict=True))
            for row, labels in zip(values.tolist(), classes.tolist(), strict=True)
        ]


class _Boxes:
    """The boxes of each image, the highest score first."""

    def __init__(self, network: nn.Module, spec: Spec, device: torch.device, top: int, score: float) -> None:
        self._network, self._device, self._top, self._score = network, device, top, score
        self._names = names_of(spec)

    @torch.no_grad()
    def __call__(self, images: list[Tensor]) -> list[tuple[Guess, ...]]:
        found = self._network([image.to(self._device) for image in images])
        return [self._guesses(one) for one in found]

    def _guesses(self, found: dict[str, Tensor]) -> tuple[Guess, ...]:
        order = found["scores"].argsort(descending=True, stable=True)[: self._top].tolist()
        guesses = []
        for n in order:
            value, label = float(found["scores"][n]), int(found["labels"][n])
            if value >= self._score and label > 0:  # label 0 is the background
                x1, y1, x2, y2 = found["boxes"][n].tolist()
                guesses.append(Guess(self._names[label - 1], value, (x1, y1, x2, y2)))
        return tuple(guesses)


def names_of(spec: Spec) -> Sequence[str]:
    """Return the names of a spec's classes, their numbers where it has none."""
    return spec.class_names or [str(number) for number in range(spec.num_classes)]


def csv_of(predictions: Sequence[Prediction], *, boxes: bool) -> str:
    """Return predictions as CSV: a row for each class or box of each image, and one for each unreadable image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    where = ("x1", "y1", "x2", "y2") if boxes else ()
    writer.writerow(("image", "place", "class", "score" if boxes else "probability", *where, "unreadable"))
    for prediction in predictions:
        if prediction.unreadable is not None or not prediction.guesses:
            writer.writerow((prediction.path, "", "", "", *("",) * len(where), prediction.unreadable or ""))
        for place, guess in enumerate(prediction.guesses, start=1):
            box = () if guess.box is None else tuple(f"{value:.1f}" for value in guess.box)
            writer.writerow((prediction.path, place, guess.label, f"{guess.score:.6f}", *box, ""))
    return text.getvalue()
