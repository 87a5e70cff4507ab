"""From a study's winner to a spec and its weights."""

from __future__ import annotations

import glob
import shutil
import statistics
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from dcasearch import __version__
from dcasearch.analysis.power import Power, difference, mean_margin
from dcasearch.analysis.words import further_splits
from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.artifacts import Place, local_copy, remove_leftovers
from dcasearch.config.data_set import Data
from dcasearch.config.detector import Detector
from dcasearch.config.recipe import Recipe
from dcasearch.config.study import Fidelity
from dcasearch.data import Source, preprocessing_of
from dcasearch.errors import UserError, WeightsGone
from dcasearch.evaluation import Cost, Evaluation, EvaluationProtocol
from dcasearch.export.model_files import load_weights
from dcasearch.export.spec import (
    SCHEMA_VERSION,
    Baseline,
    DataSpec,
    Measured,
    OverSplits,
    Spec,
    TrainingSpec,
    Weights,
    to_yaml,
)
from dcasearch.files import replacing
from dcasearch.metrics import CLASSIFICATION, METRICS, Metric
from dcasearch.models.probe import ask
from dcasearch.training import sha256_of
from dcasearch.training.tasks import learning_task

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Candidate:
    """One training of the winner or of a baseline."""

    name: str
    """`winner`, or the baseline's, e.g. `vanilla se`."""
    fidelity: str
    """The fidelity's name."""
    evaluation: Evaluation
    split_seed: int | None = None
    """Of a final training on one of several splits: which one."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A trained network, with what its spec says of it."""

    architecture: Architecture
    num_classes: int
    """Outputs of the network."""
    resolution: int
    """Pixels per side that it was trained at, and that `cost` is for."""
    cost: Cost
    evaluation: Evaluation
    """The training whose weights are exported."""
    data: Data
    """That the weights were trained on, with its split; its folder is not written."""
    source: Source | None = None
    """What the data set says of its images and classes; without it the spec has no preprocessing."""
    task: str = CLASSIFICATION.name
    """What the network has learned."""
    detector: Detector | None = None
    """What stands on the network, where the task is detection."""
    fidelity: Fidelity | None = None
    """What `evaluation` was trained at."""
    headline: Metric = CLASSIFICATION.headline
    """What it is compared with baselines by."""


def export(
    path: Path,
    exported: Exported,
    *,
    artifacts: Place,
    winner: Sequence[Candidate],
    baselines: Sequence[Candidate],
    provenance: Mapping[str, str],
    weights: Path | None = None,
    powers: Mapping[tuple[str, EvaluationProtocol], Power] = MappingProxyType({}),
) -> Spec:
    """Write a spec and its weights, each complete or not at all, and return the spec.

    Args:
        path: The YAML file; one that exists is replaced.
        exported: The network.
        artifacts: The artifact store that its weights lie in.
        winner: All trainings of the architecture that are worth showing; the exported one is among them.
        baselines: Trainings of the networks that it is compared with.
        provenance: Study, trial and whatever else tells where it comes from; the evaluation's own is added.
        weights: The weights' file, beside `path`; by default of the same name.
        powers: By fidelity and protocol what can be told apart; without it no difference is said to be resolved.

    Raises:
        UserError: the trained weights are gone or not the recorded ones, or `weights` is in another folder.
    """
    target = weights_beside(path, weights)
    with _trained_weights(exported.evaluation, artifacts) as stored:
        task = learning_task(exported.task, Recipe(), exported.detector)
        built = task.build(exported.architecture, exported.num_classes, resolution=exported.resolution)
        model = load_weights(built, stored)
        said = {
            **_network(exported),
            "weights": Weights(file=target.name, sha256=sha256_of(stored)),
            "metrics": tuple(map(_measured, winner)),
            "over_splits": _over_splits(winner, powers),
            "baselines": tuple(_compare(winner, baselines, powers, exported.headline)),
            "provenance": _provenance(provenance, exported.evaluation),
            "probe": ask(model, exported.resolution, answers=task.answers),
        }
        spec = Spec.model_validate(said)
        write_files(path, target, stored, spec)
    return spec


def weights_beside(path: Path, weights: Path | None) -> Path:
    """Return the weights' file of a spec, by default of the same name; UserError where it is in another folder."""
    target = weights or path.with_suffix(".safetensors")
    if target.resolve().parent != path.resolve().parent or target.suffix != ".safetensors":
        raise UserError(f"the weights must be a .safetensors file beside {path}; got {target}")
    return target


def _network(exported: Exported) -> dict[str, Any]:
    """Return the fields of a spec that say what the network is, what it sees and how it was trained."""
    source, fidelity = exported.source, exported.fidelity
    # A detector resizes and normalises by itself.
    prepared = None if source is None or exported.detector else preprocessing_of(source, exported.resolution)
    return {
        "schema_version": SCHEMA_VERSION,
        "id": exported.architecture.id,
        "architecture": exported.architecture.written_out(),
        "task": exported.task,
        "detector": exported.detector,
        "num_classes": exported.num_classes,
        "class_names": None if source is None else source.class_names,
        "resolution": exported.resolution,
        "preprocessing": prepared,
        "parameters": exported.cost.params,
        "macs": exported.cost.macs,
        "evaluation": exported.evaluation.key.id,
        "data": _data_spec(exported.data, exported.evaluation),
        "training": None if fidelity is None else _training_spec(fidelity),
    }


def _data_spec(data: Data, evaluation: Evaluation) -> DataSpec:
    return DataSpec(
        name=data.name,
        fingerprint=evaluation.key.data,
        validation_fraction=data.validation_fraction,
        split_seed=data.split_seed,
        protocol=data.protocol,
        classes=data.classes,
        reading=data.reading,
        split=data.split,
        columns=data.columns if data.file is not None else None,
        preprocessing=data.preprocessing,
    )


def _training_spec(fidelity: Fidelity) -> TrainingSpec:
    return TrainingSpec(epochs=fidelity.epochs, train_fraction=fidelity.train_fraction, recipe=fidelity.recipe)


def _provenance(given: Mapping[str, str], evaluation: Evaluation) -> dict[str, str]:
    made_with = {"exported_by": f"dcasearch {__version__}", "device": evaluation.device}
    return {**given, **made_with, **evaluation.provenance}


@contextmanager
def _trained_weights(evaluation: Evaluation, artifacts: Place) -> Iterator[Path]:
    """Give the local path of an evaluation's weights, or of a copy."""
    if evaluation.weights is None or not (artifacts / evaluation.weights).is_file():
        raise WeightsGone(
            f"the weights of evaluation {evaluation.key.id} are not in {artifacts}: "
            "only the best `keep_weights` of a fidelity are kept, and no more than `disk` has room for"
        )
    with local_copy(artifacts / evaluation.weights) as source:
        if sha256_of(source) != evaluation.weights_sha256:
            raise UserError(f"{source} is not what evaluation {evaluation.key.id} recorded: its sha256 differs")
        yield source


def _measured(candidate: Candidate) -> Measured:
    evaluation, last = candidate.evaluation, candidate.evaluation.last
    return Measured(
        fidelity=candidate.fidelity,
        protocol=evaluation.key.protocol,
        seed=evaluation.key.seed,
        epochs=last.epoch,
        values=dict(last.values),
        evaluation=evaluation.key.id,
        split_seed=candidate.split_seed,
    )


def _over_splits(
    winner: Sequence[Candidate], powers: Mapping[tuple[str, EvaluationProtocol], Power]
) -> OverSplits | None:
    """Return what the final trainings say over several splits; None where the data is divided once."""
    finals = [candidate for candidate in winner if candidate.split_seed is not None]
    power = powers.get((finals[0].fidelity, finals[0].evaluation.key.protocol)) if finals else None
    if power is None or power.splits is None:
        return None
    by_seed = _by_seed(finals, METRICS[power.metric])
    means, margin = power.splits.means(by_seed), mean_margin(power, by_seed)
    return OverSplits(
        splits=len(means),
        mean=round(statistics.fmean(means.values()), 4),
        margin=None if margin is None else round(margin, 4),
        says=further_splits(power) or "",
    )


def _compare(
    winner: Sequence[Candidate],
    baselines: Sequence[Candidate],
    powers: Mapping[tuple[str, EvaluationProtocol], Power],
    metric: Metric,
) -> Iterator[Baseline]:
    """Yield each baseline per fidelity and protocol, over its seeds, in the order of first appearance."""
    ours = _grouped(winner, lambda c: (c.fidelity, c.evaluation.key.protocol))
    groups = _grouped(
        baselines, lambda c: (c.fidelity, c.evaluation.key.protocol, c.name, c.evaluation.key.architecture_id)
    )
    for (fidelity, protocol, name, id), group in groups.items():
        mean = _mean(group, metric)
        rival = ours.get((fidelity, protocol))
        power = powers.get((fidelity, protocol))
        beside = sum(key[:2] == (fidelity, protocol) for key in groups)
        told = (
            None
            if rival is None or power is None
            else difference(power, _by_seed(rival, metric), _by_seed(group, metric), beside)
        )
        value = None if rival is None else _mean(rival, metric) - mean
        yield Baseline(
            name=name,
            id=id,
            fidelity=fidelity,
            protocol=protocol,
            seeds=tuple(candidate.evaluation.key.seed for candidate in group),
            metric=metric.name,
            mean=round(mean, 4),
            difference=None if value is None else round(value if told is None else told.value, 4),
            margin=None if told is None or told.margin is None else round(told.margin, 4),
            resolved=None if told is None else told.resolved,
            said="" if told is None else str(told),
            counts="" if told is None else told.counts,
        )


def _grouped(candidates: Iterable[Candidate], key: Callable[[Candidate], Key]) -> dict[Key, list[Candidate]]:
    groups: dict[Key, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(key(candidate), []).append(candidate)
    return groups


def _by_seed(candidates: Iterable[Candidate], metric: Metric) -> dict[int, float]:
    """Return a metric of some trainings by their seeds."""
    last = ((candidate.evaluation.key.seed, candidate.evaluation.last) for candidate in candidates)
    return {seed: epoch.values[metric.name] for seed, epoch in last}


def _mean(candidates: Iterable[Candidate], metric: Metric) -> float:
    return statistics.fmean(_by_seed(candidates, metric).values())


def write_files(path: Path, weights: Path, source: Path, spec: Spec) -> None:
    """Write a spec and its weights to temporary names first, so that each is there complete or not at all.

    Args:
        path: The YAML file.
        weights: Where the weights go, beside it.
        source: The file of the weights, which is copied.
        spec: What is written.
    """
    comment = (
        f"{sentence_of(spec.build().network)}.\n"
        f"An exported model: `dcasearch verify {path.name}` holds it against every number below,\n"
        f'`dcasearch.load_model("{path.name}")` is the network with its weights.'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in (weights, path):
        remove_leftovers(file.parent, f"{glob.escape(file.name)}.*.tmp")
    with replacing(path) as unfinished_spec, replacing(weights) as unfinished_weights:  # the weights are there first
        shutil.copyfile(source, unfinished_weights)
        unfinished_spec.write_text(to_yaml(spec, comment), encoding="utf-8")
