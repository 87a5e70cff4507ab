"""The images that a command shows to all networks that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dcasearch.config.data_set import Data
from dcasearch.data import DATASETS, Loader, open_sample
from dcasearch.errors import UserError, nearest
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.export.spec import DataSpec
from dcasearch.interpretation.subjects import Subject
from dcasearch.training.provenance import device_name, provenance

BATCH = 64


@dataclass(frozen=True)
class Images:
    """Which images a command shows to its networks."""

    data: Data
    protocol: EvaluationProtocol

    @property
    def title(self) -> str:
        """The images in words, e.g. `digits, held-out images of train`."""
        part = {"search": "held-out images of train", "paper": "official validation images", "test": "test images"}
        return f"{self.data.name}, {part[self.protocol]}"


def images_of(subjects: Sequence[Subject], where: str | None, root: str | None = None) -> Images:
    """Return the images that networks are read on.

    Args:
        subjects: by default the images are those that their numbers were measured on.
        where: the folder of those images, or the name of another data set. Its held-out images are then used.
        root: the folder of the images, where `where` is none.

    Raises:
        UserError: there is no such folder or data set, or the subjects' numbers are of different images.
    """
    if where is not None and not Path(where).is_dir():
        if where not in DATASETS:
            raise UserError(f"--data {where}: no folder, and no data set; {nearest(where, DATASETS)}")
        return Images(Data(name=where, root=root), "search")
    known = {_measured_on(subject): subject.name for subject in subjects}
    if len(known) > 1:
        raise UserError(
            f"{' and '.join(known.values())} were measured on different images; name one data set with --data"
        )
    [(data, protocol)] = known
    return Images(data.at(where or root), protocol)


def _measured_on(subject: Subject) -> tuple[DataSpec, EvaluationProtocol]:
    """Return the images that a network's numbers are of."""
    data, measured = subject.spec.data, subject.spec.measured
    if data is None or measured is None:
        raise UserError(
            f"{subject.path} does not say on which images its network was measured, since its weights were imported; "
            "name a data set with --data, and its folder with --root"
        )
    return data, measured.protocol


def made_with(device: torch.device) -> dict[str, str]:
    """Return what a reading names beside its numbers: commit, versions, device."""
    return {**provenance(torch.get_num_threads()), "device": device_name(device)}


def sample(images: Images, subject: Subject, count: int, device: torch.device) -> Loader:
    """Return so many images as a network sees them: all networks get the same images in the same order.

    Raises:
        DataError: the data is missing, of another layout, or broken.
    """
    return open_sample(
        images.data,
        images.protocol,
        images=count,
        resolution=subject.resolution,
        batch_size=BATCH,
        device=device,
    )
