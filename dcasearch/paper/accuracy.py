"""What a database knows of the accuracy of the paper's networks on ImageNet-1k's validation images. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dcasearch.config.study import Fidelity, Study
from dcasearch.store import Store
from dcasearch.trial import State

DATA, CLASSES, RESOLUTION, IMAGES = "imagenet", 1000, 224, 50_000
"""What the paper measures on."""
_READABLE = 0.999
"""Share of the images that a measurement must have read: a set may hold a few damaged files."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The accuracy of one architecture: of its trainings in one setting, or of one file of weights."""

    top1: tuple[float, ...]
    """Percent, one value per seed; of a file of weights one."""
    top5: tuple[float, ...]
    how: str
    """A sentence for a footnote."""

    @property
    def shown(self) -> str:
        """The mean over the seeds, top-1 before top-5."""
        return f"{statistics.fmean(self.top1):.2f} / {statistics.fmean(self.top5):.2f}"


def reached(store: Store) -> Mapping[str, tuple[Reached, ...]]:
    """Return by architecture id what was reached; the trainings of most epochs, then of most seeds, come first.

    A training counts if it saw all classes of ImageNet at 224 pixels, and if it was measured on the validation images:
    its protocol is `paper`, or `test` for a study's final trainings. Results of `dcasearch evaluate` follow.
    """
    found: dict[str, list[tuple[tuple[int, int], Reached]]] = {}
    for stored in store.studies():
        study = Study.model_validate_json(stored.resolved)
        if study.data.name == DATA and stored.meaning.get("data.classes") == CLASSES:
            for fidelity in filter(_like_the_papers, study.fidelities):
                for id, epochs, one in _trained(store, study, fidelity):
                    found.setdefault(id, []).append(((-epochs, -len(one.top1)), one))
    trained = {id: [one for _, one in sorted(ones, key=lambda one: one[0])] for id, ones in found.items()}
    for id, one in _measured(store):
        trained.setdefault(id, []).append(one)
    return {id: tuple(ones) for id, ones in trained.items()}


def _like_the_papers(fidelity: Fidelity) -> bool:
    return fidelity.kind == "training" and fidelity.resolution == RESOLUTION and fidelity.train_fraction == 1.0


def _trained(store: Store, study: Study, fidelity: Fidelity) -> Iterator[tuple[str, int, Reached]]:
    """Yield the architecture ids of a fidelity's trainings that ended, with the epochs and what they reached."""
    trials = store.trials(study.name, fidelity.name)
    ids = {trial.evaluation for trial in trials if trial.state is State.COMPLETE and trial.evaluation}
    roles = [role for role in store.roles(study.name) if role.fidelity == fidelity.name and role.role != "parent"]
    ids |= {role.evaluation for role in roles if role.evaluation}
    settings: dict[tuple[str, str], dict[int, Mapping[str, float]]] = {}
    for key, values in store.measured(ids).items():
        if key.protocol in ("paper", "test"):
            settings.setdefault((key.architecture_id, key.protocol), {})[key.seed] = values
    for (id, protocol), by_seed in settings.items():
        seeds = sorted(by_seed)
        top1, top5 = (tuple(by_seed[seed][metric] for seed in seeds) for metric in ("top1", "top5"))
        yield id, fidelity.epochs, Reached(top1=top1, top5=top5, how=_how(study, fidelity, protocol, seeds, top1))


def _how(study: Study, fidelity: Fidelity, protocol: str, seeds: list[int], top1: tuple[float, ...]) -> str:
    """Return how an accuracy came about, in words."""
    held_out = f", without {study.data.validation_fraction:.0%} of train" if protocol == "test" else ""
    begun = "" if fidelity.parent is None else ", from the trained vanilla network"
    if len(seeds) == 1:
        over = f"one seed, {seeds[0]}"
    else:
        over = f"mean of seeds {', '.join(map(str, seeds))}; standard deviation of top-1 {statistics.stdev(top1):.2f}"
    return f"Trained here: study {study.name}, {fidelity.name}, {fidelity.epochs} epochs{held_out}{begun}; {over}."


def _measured(store: Store) -> Iterator[tuple[str, Reached]]:
    """Yield the results of `dcasearch evaluate` on a validation set like ImageNet-1k's, the newest first."""
    for one in reversed(store.measurements()):
        key = one.key
        whole = one.images >= _READABLE * IMAGES
        if (key.classes, key.resolution, key.split) == (CLASSES, RESOLUTION, "validation") and whole:
            how = f"Not trained here: weights {key.weights_sha256[:8]}, measured on {one.images:,} images."
            yield key.architecture_id, Reached(top1=(one.values["top1"],), top5=(one.values["top5"],), how=how)
