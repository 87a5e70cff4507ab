"""What of a study goes into the spec: its winner, or another network of it, and what that is compared with."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcasearch.analysis.measured import FINAL, final_roles, powers_of
from dcasearch.analysis.power import Power
from dcasearch.analysis.references import Referred, places_of
from dcasearch.analysis.resampling import splits_of
from dcasearch.analysis.standing import load_study_of
from dcasearch.architecture import Architecture
from dcasearch.artifacts import open_artifacts
from dcasearch.config.data_set import Data
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
from dcasearch.trial import WINNER, Role, Trial

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

    The weights are those of the final training where there is one, else of the best seed of the last fidelity. Of final
    trainings on several splits they are those of the search's own split.

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

    Of a trial the weights are that trial's. Of a baseline or a final training they are those of the best seed, with
    repeated splits those of the search's own split. Of an id's beginning they are those of the study's best-known
    training of the network: the final one, else the last fidelity's.

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
    if referred.fidelity == FINAL and splits_of(study) is not None:
        best = _of_first_split(study, list(records.values())).key.id  # not the one whose split is easiest
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
            data=_data_of(study, exported),
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


def _data_of(study: Study, evaluation: Evaluation) -> Data:
    """Return the data that a network was trained on: of a final training its own split, which the spec then names."""
    final = evaluation.key.protocol == "test"
    return study.data_of_final(evaluation.key.seed) if final else study.data


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
        for one in _roles(store, study)
        if one.architecture_id == architecture_id and one.name == role and one.role != "parent"
    ]
    known = dict.fromkeys((fidelity, id) for fidelity, id in ids if id is not None)
    records = [_candidate(study, role, fidelity, store.evaluation(id)) for fidelity, id in known]
    return [candidate for candidate in records if not candidate.evaluation.last.scored]


def _roles(store: Store, study: Study) -> list[Role]:
    """Return the study's trainings that are no trials, without final ones of seeds that have no split any more."""
    roles = store.roles(study.name)
    return [*(role for role in roles if role.role != FINAL), *final_roles(study, roles)]


def _candidate(study: Study, name: str, fidelity: str, evaluation: Evaluation) -> Candidate:
    one_of_several = evaluation.key.protocol == "test" and splits_of(study) is not None
    split_seed = _data_of(study, evaluation).split_seed if one_of_several else None
    return Candidate(name, fidelity, evaluation, split_seed)


def _is_own(trial: Trial, architecture_id: str) -> bool:
    return trial.architecture_id == architecture_id and trial.values is not None and trial.duplicate_of is None


def _baselines(store: Store, study: Study) -> list[Candidate]:
    """Return the baselines' trainings; a parent may bear the name of one, but was trained otherwise and longer."""
    roles = [r for r in _roles(store, study) if r.role != "parent" and r.name != WINNER]
    candidates = [_candidate(study, r.name, r.fidelity, store.evaluation(r.evaluation)) for r in roles if r.evaluation]
    return [candidate for candidate in candidates if not candidate.evaluation.last.scored]


def _of_first_split(study: Study, finals: Sequence[Evaluation]) -> Evaluation:
    """Return the final training on the search's own split, else on the next one; of several seeds the first."""
    return min(finals, key=lambda one: study.final_split(one.key.seed))


def _to_export(study: Study, trained: list[Candidate], fidelity: str) -> Evaluation:
    finals = [c.evaluation for c in trained if c.evaluation.key.protocol == "test"]
    if finals:
        return _of_first_split(study, finals)
    last = [c.evaluation for c in trained if c.fidelity == fidelity]
    headline = study.headline
    return max(last, key=lambda evaluation: headline.sign * evaluation.last.values[headline.name])
