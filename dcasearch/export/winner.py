"""What of a study goes into the spec: its winner, or another network of it, and what that is compared with."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcasearch.analysis.measured import FINAL, powers_of
from dcasearch.analysis.power import Power
from dcasearch.analysis.references import Referred, places_of
from dcasearch.analysis.standing import load_study_of
from dcasearch.architecture import Architecture
from dcasearch.artifacts import open_artifacts
from dcasearch.config.study import Fidelity, Study
from dcasearch.data import Source, describe
from dcasearch.errors import DataError, UserError, WeightsGone
from dcasearch.evaluation import Evaluation, EvaluationProtocol
from dcasearch.export.spec import Spec
from dcasearch.export.writing import Candidate, Exported, export
from dcasearch.metrics import TASKS
from dcasearch.models import cost
from dcasearch.search.winner import winner_of
from dcasearch.store import Store, StoredStudy
from dcasearch.trial import WINNER, Trial

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """Which training of which network is exported."""

    architecture: Architecture
    fidelity: Fidelity
    """Whose resolution and recipe the spec says."""
    role: str
    """Name of the baseline that it is, else `winner`."""
    evaluation: str | None
    """Id of the record of the training whose weights are exported; None: the final one, else the fidelity's best."""
    said: Mapping[str, str]
    """Of its provenance."""


def export_winner(store: Store, name: str, path: Path, weights: Path | None = None, trial: int | None = None) -> Spec:
    """Write the spec and weights of a study's winner, or of one trial of its last fidelity.

    The weights are those of the final training where there is one, else of the best seed of the last fidelity.

    Raises:
        UserError: no such study or trial, nothing complete yet, or the weights are gone.
    """
    study = load_study_of(store, name)
    chosen = _trial_of(store, study, trial)
    level = study.fidelities[-1]
    label = {} if chosen.label is None else {"label": chosen.label}
    return _export(
        store,
        study,
        _Chosen(
            architecture=store.get_architecture(chosen.architecture_id),
            fidelity=level,
            role=WINNER,
            evaluation=None,
            said={"trial": f"{level.name} {chosen.number}", **label},
        ),
        path,
        weights,
    )


def export_referred(store: Store, referred: Referred, path: Path, weights: Path | None = None) -> Spec:
    """Write the spec and weights of a network that a short form names.

    Of a trial the weights are that trial's. Of a baseline or a final training they are those of the best seed, and of
    an id's beginning those of the study's best-known training of the network: the final one, else the last fidelity's.

    Raises:
        WeightsGone: the network was not trained to an end, or others' weights are kept in the place of its own.
        UserError: the network was trained by several studies.
    """
    if referred.study is None:
        referred = _only_place(store, referred)
    study = load_study_of(store, str(referred.study))
    levels = [level for level in study.fidelities if level.name == referred.fidelity]
    if levels and levels[0].kind != "training":
        raise WeightsGone(f"{referred.name}: fidelity '{referred.fidelity}' trains nothing, so there are no weights")
    ids = [id for seed, id in referred.evaluations.items() if referred.seed in (None, seed)]
    records = store.evaluations(ids)
    if not records:
        raise WeightsGone(f"{referred.name} has no complete training, so there are no weights")
    headline = study.headline
    best = max(records, key=lambda id: headline.sign * records[id].last.values[headline.name])
    chosen = _Chosen(
        architecture=referred.architecture,
        fidelity=levels[0] if levels else study.fidelities[-1],
        role=referred.role,
        evaluation=best,
        said={"training": referred.name.partition("/")[2]},
    )
    return _export(store, study, chosen, path, weights)


def _only_place(store: Store, referred: Referred) -> Referred:
    """Return where a network that only its id names was trained; UserError where nowhere or by several studies."""
    places = places_of(store, referred.architecture.id)
    if not places:
        raise WeightsGone(f"{referred.architecture.id} was never trained to an end, so there are no weights")
    if len({place.study for place in places}) > 1:
        lines = [f"  {place.name}" for place in places]
        raise UserError("\n".join([f"{referred.name} was trained by several studies; name one training:", *lines]))
    return places[-1]


def _export(store: Store, study: Study, chosen: _Chosen, path: Path, weights: Path | None) -> Spec:
    record = store.get_study(study.name)
    if record is None:
        raise UserError(f"{store.url} holds no study '{study.name}'")
    architecture, level = chosen.architecture, chosen.fidelity
    trained = _trainings(store, study, architecture.id, chosen.role)
    classes = TASKS[study.task].width(int(record.meaning["data.classes"]))
    exported = _to_export(study, trained, level.name) if chosen.evaluation is None else _of(trained, chosen.evaluation)
    return export(
        path,
        Exported(
            architecture=architecture,
            num_classes=classes,
            resolution=level.resolution,
            cost=cost(architecture, level.resolution, classes),
            evaluation=exported,
            data=study.data,
            source=_source(record, study),
            task=study.task,
            detector=study.detector,
            fidelity=level,
            headline=study.headline,
        ),
        artifacts=open_artifacts(study.artifacts),
        winner=trained,
        baselines=[one for one in _baselines(store, study) if one.name != chosen.role],
        provenance={"study": study.name, **chosen.said},
        weights=weights,
        powers=_powers(study, store),
    )


def _of(trained: Sequence[Candidate], evaluation: str) -> Evaluation:
    return next(one.evaluation for one in trained if one.evaluation.key.id == evaluation)


def _source(record: StoredStudy, study: Study) -> Source | None:
    """Return what the data set says of its images; of a study of an older version only where the data is here."""
    if record.data is not None:
        return Source.model_validate_json(json.dumps(record.data))
    try:
        return describe(study.data).source
    except DataError as error:
        logger.warning("the spec does not say how images are prepared: %s", error)
        return None


def _powers(study: Study, store: Store) -> dict[tuple[str, EvaluationProtocol], Power]:
    last = study.fidelities[-1].name
    return {
        (last, "test") if name == FINAL else (name, study.data.protocol): power
        for name, power in powers_of(study, store).items()
    }


def _trial_of(store: Store, study: Study, number: int | None) -> Trial:
    fidelity = study.fidelities[-1].name
    if number is None:
        return winner_of(study, store).trials[0]
    trial = store.trial(study.name, fidelity, number)
    if trial is None or trial.values is None:
        raise UserError(f"trial {number} of fidelity '{fidelity}' does not exist or is not complete")
    return trial


def _trainings(store: Store, study: Study, architecture_id: str, role: str) -> list[Candidate]:
    """Return every stored training of an architecture: its trials at each fidelity, then those of its role."""
    trained = [fidelity for fidelity in study.fidelities if fidelity.kind == "training"]
    trials = [t for f in trained for t in store.trials(study.name, f.name) if _is_own(t, architecture_id)]
    ids = [(trial.fidelity, trial.evaluation) for trial in trials]
    ids += [
        (one.fidelity, one.evaluation)
        for one in store.roles(study.name)
        if one.architecture_id == architecture_id and one.name == role and one.role != "parent"
    ]
    known = dict.fromkeys((fidelity, id) for fidelity, id in ids if id is not None)
    records = [Candidate(role, fidelity, store.evaluation(id)) for fidelity, id in known]
    return [candidate for candidate in records if not candidate.evaluation.last.scored]


def _is_own(trial: Trial, architecture_id: str) -> bool:
    return trial.architecture_id == architecture_id and trial.values is not None and trial.duplicate_of is None


def _baselines(store: Store, study: Study) -> list[Candidate]:
    """Return the baselines' trainings; a parent may bear the name of one, but was trained otherwise and longer."""
    roles = [r for r in store.roles(study.name) if r.role != "parent" and r.name != WINNER]
    candidates = [Candidate(r.name, r.fidelity, store.evaluation(r.evaluation)) for r in roles if r.evaluation]
    return [candidate for candidate in candidates if not candidate.evaluation.last.scored]


def _to_export(study: Study, trained: list[Candidate], fidelity: str) -> Evaluation:
    finals = [c.evaluation for c in trained if c.evaluation.key.protocol == "test"]
    if finals:
        return finals[0]
    last = [c.evaluation for c in trained if c.fidelity == fidelity]
    headline = study.headline
    return max(last, key=lambda evaluation: headline.sign * evaluation.last.values[headline.name])
