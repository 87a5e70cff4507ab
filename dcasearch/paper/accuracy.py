"""The accuracies of the paper's networks on ImageNet-1k and the precisions of its detectors on COCO. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dcasearch.bounds import STORED
from dcasearch.config.detector import Detector
from dcasearch.config.recipe import Recipe
from dcasearch.config.study import Fidelity, Study
from dcasearch.metrics import CLASSIFICATION, DETECTION, METRICS
from dcasearch.paper.rows import PRECISIONS
from dcasearch.store import Store, StoredStudy
from dcasearch.trial import State

_READABLE = 0.999
"""Share of the images that a measurement must have read: a set may hold a few damaged files."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What a table of the paper measures on."""

    task: str
    data: str
    """Name of the data set in a study."""
    classes: int
    resolution: int
    """Pixels per side; of detection those of the shorter side."""
    images: int
    """Validation images."""
    metrics: tuple[str, ...]
    """The first leads: a footnote tells how far it varies over the seeds."""


IMAGENET = Benchmark(
    task=CLASSIFICATION.name,
    data="imagenet",
    classes=1000,
    resolution=224,
    images=50_000,
    metrics=("top1", "top5"),
)
COCO = Benchmark(
    task=DETECTION.name,
    data="coco",
    classes=80,
    resolution=800,
    images=5_000,
    metrics=PRECISIONS,
)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The values of one network: of its trainings in one setting, or of one file of weights."""

    values: Mapping[str, tuple[float, ...]]
    """Percent by metric, one value per seed; of a file of weights one. A metric that a training lacks is left out."""
    how: str
    """A sentence for a footnote."""

    @property
    def seeds(self) -> int:
        """Number of trainings."""
        return max(map(len, self.values.values()))

    def mean(self, metric: str) -> float | None:
        """Return the mean over the seeds; None where the metric was not measured."""
        return statistics.fmean(self.values[metric]) if metric in self.values else None

    def shown(self, metric: str, *, digits: int) -> str:
        """Return the mean with so many decimals; empty where the metric was not measured."""
        mean = self.mean(metric)
        return "" if mean is None else f"{mean:.{digits}f}"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The trainings of one network in one setting, and where they are from."""

    study: Study
    architecture_id: str
    epochs: int
    reached: Reached


Key = TypeVar("Key", bound=Hashable)


def reached(store: Store) -> Mapping[str, tuple[Reached, ...]]:
    """Return by architecture id what was reached; the trainings of most epochs, then of most seeds, come first.

    A training counts if it saw all classes of ImageNet at 224 pixels, and if it was measured on the validation images:
    its protocol is `paper`, or `test` for a study's final trainings. Results of `dcasearch evaluate` follow.
    """
    found = dict(longest_first((one.architecture_id, one) for one in trained(store, IMAGENET)))
    for id, one in _measured(store):
        found[id] = (*found.get(id, ()), one)
    return found


def detected(store: Store) -> Mapping[tuple[str, str], tuple[Reached, ...]]:
    """Return by detector and by the architecture id of its backbone what was reached, in the order of `reached`.

    A training counts if it saw all images of COCO with its 80 classes, with a shorter side of 800 pixels, and if it was
    measured on the validation images, as in `reached`.
    """
    found = ((one.study.detector, one) for one in trained(store, COCO))
    return longest_first(((detector.name, one.architecture_id), one) for detector, one in found if detector is not None)


def longest_first(found: Iterable[tuple[Key, Trained]]) -> Mapping[Key, tuple[Reached, ...]]:
    """Return by key what was reached; the trainings of most epochs, then of most seeds, come first."""
    of_key: dict[Key, list[Trained]] = {}
    for key, one in found:
        of_key.setdefault(key, []).append(one)
    for ones in of_key.values():
        ones.sort(key=lambda one: (-one.epochs, -one.reached.seeds))
    return {key: tuple(one.reached for one in ones) for key, ones in of_key.items()}


def trained(store: Store, benchmark: Benchmark) -> Iterator[Trained]:
    """Yield the trainings that ended and that were measured as a benchmark is, from all studies of a database."""
    expected = (benchmark.task, benchmark.data, benchmark.classes)
    for stored in store.studies():
        study = Study.model_validate_json(stored.resolved, context=STORED)
        if (study.task, study.data.name, stored.meaning.get("data.classes")) == expected:
            protocols = [name for name in _IMAGES if _is_whole(stored, name, benchmark)]
            for fidelity in study.fidelities:
                if _like_the_papers(fidelity, benchmark):
                    yield from _trainings(store, study, fidelity, benchmark, protocols)


_IMAGES: Mapping[str, str] = {"paper": "data.validation_images", "test": "data.test_images"}
"""By protocol how a study's meaning calls the number of the images that were measured on."""


def _is_whole(stored: StoredStudy, protocol: str, benchmark: Benchmark) -> bool:
    """Return whether a study has the benchmark's images; a study that does not say so has them."""
    images = stored.meaning.get(_IMAGES[protocol])
    return images is None or bool(images >= _READABLE * benchmark.images)


def _like_the_papers(fidelity: Fidelity, benchmark: Benchmark) -> bool:
    whole = fidelity.resolution == benchmark.resolution and fidelity.train_fraction == 1.0
    return fidelity.kind == "training" and whole


def _trainings(
    store: Store, study: Study, fidelity: Fidelity, benchmark: Benchmark, protocols: Collection[str]
) -> Iterator[Trained]:
    """Yield what the networks of a fidelity reached whose trainings ended."""
    trials = store.trials(study.name, fidelity.name)
    ids = {trial.evaluation for trial in trials if trial.state is State.COMPLETE and trial.evaluation}
    roles = [role for role in store.roles(study.name) if role.fidelity == fidelity.name and role.role != "parent"]
    ids |= {role.evaluation for role in roles if role.evaluation}
    settings: dict[tuple[str, str], dict[int, Mapping[str, float]]] = {}
    for key, values in store.measured(ids).items():
        if key.protocol in protocols:
            settings.setdefault((key.architecture_id, key.protocol), {})[key.seed] = values
    for (id, protocol), by_seed in settings.items():
        seeds = sorted(by_seed)
        known = [metric for metric in benchmark.metrics if all(metric in by_seed[seed] for seed in seeds)]
        values_of = {metric: tuple(by_seed[seed][metric] for seed in seeds) for metric in known}
        lead = benchmark.metrics[0]
        how = f"{_how(study, fidelity, protocol)}; {_over(seeds, lead, values_of[lead])}."
        yield Trained(
            study=study, architecture_id=id, epochs=fidelity.epochs, reached=Reached(values=values_of, how=how)
        )


def _how(study: Study, fidelity: Fidelity, protocol: str) -> str:
    """Return how trainings came about, in words."""
    held_out = f", without {study.data.validation_fraction:.0%} of train" if protocol == "test" else ""
    begun = _BEGUN[fidelity.initialize.name]
    trained = f"Trained here: study {study.name}, {fidelity.name}, {fidelity.epochs} epochs"
    if study.detector is None:
        return f"{trained}{held_out}{begun}"
    begun = begun or ", from random weights"  # the paper's detectors begin with networks that know ImageNet
    return f"{trained}{_drops(fidelity.recipe)}, {_settings(study.detector)}{held_out}{begun}"


_BEGUN = {
    "scratch": "",
    "vanilla": ", from the trained vanilla network",
    "exported": ", from exported weights",
    "weights": ", from a trained backbone",
}


def _drops(recipe: Recipe) -> str:
    """Return when the learning rate drops, in words: the paper's text and its released code differ in this."""
    drops = recipe.schedule.drops
    return f" with drops after {' and '.join(map(str, drops))}" if drops else ""


def _settings(detector: Detector) -> str:
    """Return a detector's preset, and every setting that differs from it, in words."""
    ours, preset = detector.model_dump(), type(detector)(preset=detector.preset).model_dump()
    others = ", ".join(f"{name} {value}" for name, value in ours.items() if value != preset[name])
    return f"preset {detector.preset}" + (f" but {others}" if others else "")


def _over(seeds: list[int], metric: str, values: tuple[float, ...]) -> str:
    """Return which seeds there are and how far a metric varies over them, in words."""
    if len(seeds) == 1:
        return f"one seed, {seeds[0]}"
    spread = f"standard deviation of {METRICS[metric].label} {statistics.stdev(values):.2f}"
    return f"mean of seeds {', '.join(map(str, seeds))}; {spread}"


def _measured(store: Store) -> Iterator[tuple[str, Reached]]:
    """Yield the results of `dcasearch evaluate` on a validation set like ImageNet-1k's, the newest first."""
    expected = (IMAGENET.classes, IMAGENET.resolution, "validation")
    for one in reversed(store.measurements()):
        key = one.key
        if (key.classes, key.resolution, key.split) == expected and one.images >= _READABLE * IMAGENET.images:
            how = f"Not trained here: weights {key.weights_sha256[:8]}, measured on {one.images:,} images."
            values = {metric: (one.values[metric],) for metric in IMAGENET.metrics}
            yield key.architecture_id, Reached(values=values, how=how)
