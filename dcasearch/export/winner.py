"""What of a study goes into the spec: its winner, or a trial of the user's choice, and what it is compared with."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from dcasearch.analysis.measured import FINAL, powers_of
from dcasearch.analysis.power import Power
from dcasearch.analysis.standing import load_study_of
from dcasearch.artifacts import open_artifacts
from dcasearch.config.study import Study
from dcasearch.data import Source, describe
from dcasearch.errors import DataError, UserError
from dcasearch.evaluation import Evaluation, EvaluationProtocol
from dcasearch.export.spec import Spec
from dcasearch.export.writing import Candidate, Exported, export
from dcasearch.metrics import TASKS
from dcasearch.models import cost
from dcasearch.search.winner import winner_of
from dcasearch.store import Store, StoredStudy
from dcasearch.trial import Trial

logger = logging.getLogger(__name__)


def export_winner(store: Store, name: str, path: Path, weights: Path | None = None, trial: int | None = None) -> Spec:
    """Write the spec and weights of a study's winner, or of one trial of its last fidelity.

    The weights are those of the final training where there is one, else of the best seed of the last fidelity.

    Raises:
        UserError: no such study or trial, nothing complete yet, or the weights are gone.
    """
    study = load_study_of(store, name)
    record = store.get_study(name)
    if record is None:
        raise UserError(f"{store.url} holds no study '{name}'")
    chosen = _chosen(store, study, trial)
    architecture = store.get_architecture(chosen.architecture_id)
    label = {} if chosen.label is None else {"label": chosen.label}
    trained = _trainings(store, study, architecture.id)
    fidelity, classes = study.fidelities[-1], TASKS[study.task].width(int(record.meaning["data.classes"]))
    exported = _to_export(study, trained, fidelity.name)
    return export(
        path,
        Exported(
            architecture=architecture,
            num_classes=classes,
            resolution=fidelity.resolution,
            cost=cost(architecture, fidelity.resolution, classes),
            evaluation=exported,
            data=study.data,
            source=_source(record, study),
            task=study.task,
            detector=study.detector,
            fidelity=fidelity,
        ),
        artifacts=open_artifacts(study.artifacts),
        winner=trained,
        baselines=_baselines(store, study),
        provenance={"study": name, "trial": f"{fidelity.name} {chosen.number}", **label},
        weights=weights,
        powers=_powers(study, store),
    )


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


def _chosen(store: Store, study: Study, number: int | None) -> Trial:
    fidelity = study.fidelities[-1].name
    if number is None:
        return winner_of(study, store).trials[0]
    trial = store.trial(study.name, fidelity, number)
    if trial is None or trial.values is None:
        raise UserError(f"trial {number} of fidelity '{fidelity}' does not exist or is not complete")
    return trial


def _trainings(store: Store, study: Study, architecture_id: str) -> list[Candidate]:
    """Return every stored training of an architecture: its trials at each fidelity, then its final ones."""
    trained = [fidelity for fidelity in study.fidelities if fidelity.kind == "training"]
    trials = [t for f in trained for t in store.trials(study.name, f.name) if _is_own(t, architecture_id)]
    ids = [(trial.fidelity, trial.evaluation) for trial in trials]
    ids += [
        (role.fidelity, role.evaluation)
        for role in store.roles(study.name)
        if role.role == "final" and role.architecture_id == architecture_id and role.name == "winner"
    ]
    return [Candidate("winner", fidelity, store.evaluation(id)) for fidelity, id in ids if id is not None]


def _is_own(trial: Trial, architecture_id: str) -> bool:
    return trial.architecture_id == architecture_id and trial.values is not None and trial.duplicate_of is None


def _baselines(store: Store, study: Study) -> list[Candidate]:
    """Return the baselines' trainings; a parent may bear the name of one, but was trained otherwise and longer."""
    roles = [r for r in store.roles(study.name) if r.role != "parent" and r.name != "winner"]
    candidates = [Candidate(r.name, r.fidelity, store.evaluation(r.evaluation)) for r in roles if r.evaluation]
    return [candidate for candidate in candidates if not candidate.evaluation.last.scored]


def _to_export(study: Study, trained: list[Candidate], fidelity: str) -> Evaluation:
    finals = [c.evaluation for c in trained if c.evaluation.key.protocol == "test"]
    if finals:
        return finals[0]
    last = [c.evaluation for c in trained if c.fidelity == fidelity]
    headline = TASKS[study.task].headline
    return max(last, key=lambda evaluation: headline.sign * evaluation.last.values[headline.name])
