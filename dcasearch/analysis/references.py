"""What a short form names: STUDY/FIDELITY/NUMBER, STUDY/FIDELITY/NAME, or the beginning of an architecture's id.

The final trainings stand under STUDY/final/NAME; `chosen` is the network that the study has chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from dcasearch.analysis.measured import FINAL
from dcasearch.analysis.standing import load_study_of
from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.errors import UserError, nearest
from dcasearch.metrics import TASKS
from dcasearch.store import Store
from dcasearch.trial import WINNER, Role, Trial, shown_as

FORMS = (
    "STUDY/FIDELITY/NUMBER (a trial), STUDY/FIDELITY/NAME (a baseline or a row of a list), STUDY/final/chosen, or the "
    "beginning of an id"
)
_ID = re.compile(r"[0-9a-f]{4,16}")
_SHOWN = 8
"""Candidates that an error names."""


@dataclass(frozen=True, kw_only=True)
class Referred:
    """A network of a database, and its trainings where a fidelity was named."""

    name: str
    """As it was written."""
    architecture: Architecture
    study: str | None = None
    fidelity: str | None = None
    """`final` for final trainings."""
    role: str = WINNER
    """Name of the baseline that was named, else `winner`."""
    seed: int | None = None
    """Of the trial or training that was named; None where a network was named."""
    evaluations: Mapping[int, str] = field(default_factory=dict)
    """Ids of its records at that fidelity, by seed."""


def is_reference(text: str) -> bool:
    """Return whether a text has the form of a reference, so that it is no file."""
    return (len(text.split("/")) >= 3 and not text.endswith((".yaml", ".yml"))) or bool(_ID.fullmatch(text))


def resolve(store: Store, text: str) -> Referred:
    """Return the network that a short form names.

    Raises:
        UserError: it names none, or several; then with the candidates.
    """
    if _ID.fullmatch(text):
        return _of_id(store, text)
    study, _, rest = text.partition("/")
    fidelity, _, last = rest.partition("/")
    if not (study and fidelity and last):
        raise UserError(f"'{text}' names no network; write {FORMS}")
    known = [level.name for level in load_study_of(store, study).fidelities]
    if fidelity in known:
        return _of_fidelity(store, text, study, fidelity, last)
    if fidelity == FINAL:
        return _of_final(store, text, study, last)
    raise UserError(f"study '{study}' has no fidelity '{fidelity}'; {nearest(fidelity, known)}")


def _of_final(store: Store, text: str, study: str, last: str) -> Referred:
    roles = [role for role in store.roles(study) if role.role == FINAL]
    named = [role for role in roles if last in (role.name, shown_as(role.name))]
    if not named:
        names = ", ".join(dict.fromkeys(shown_as(role.name) for role in roles)) or "nothing yet"
        raise UserError(f"{study}/final has no '{last}'; it has {names}")
    return Referred(
        name=text,
        architecture=store.get_architecture(named[0].architecture_id),
        study=study,
        fidelity=FINAL,
        role=named[0].name,
        evaluations={role.seed: role.evaluation for role in named if role.evaluation is not None},
    )


def places_of(store: Store, id: str) -> list[Referred]:
    """Return where a network of a database was trained: a reference for each study and fidelity, the best known last.

    Args:
        store: the database.
        id: the network's, all of it.
    """
    found = []
    for record in store.studies():
        study, roles = record.name, store.roles(record.name)
        for level in load_study_of(store, study).fidelities:
            trials = [t for t in store.trials(study, level.name) if t.architecture_id == id and t.values is not None]
            named = [r for r in roles if (r.role, r.fidelity, r.architecture_id) == ("baseline", level.name, id)]
            last = [str(trial.number) for trial in trials] + [role.name for role in named if role.evaluation]
            if last:
                found.append(_of_fidelity(store, f"{study}/{level.name}/{last[0]}", study, level.name, last[0]))
        final = [role for role in roles if role.role == FINAL and role.architecture_id == id and role.evaluation]
        if final:
            found.append(_of_final(store, f"{study}/final/{shown_as(final[0].name)}", study, final[0].name))
    return found


def input_of(store: Store, referred: Referred) -> tuple[int, int] | None:
    """Return the resolution (pixels per side) and the number of outputs that a study trains a network at.

    Of a network that only its id names they are those of its best-known training; None where it was never trained.
    """
    places = [referred] if referred.study is not None else places_of(store, referred.architecture.id)
    record = store.get_study(str(places[-1].study)) if places else None
    if record is None:
        return None
    study = load_study_of(store, record.name)
    level = next((level for level in study.fidelities if level.name == places[-1].fidelity), study.fidelities[-1])
    return level.resolution, TASKS[study.task].width(int(record.meaning["data.classes"]))


def alphas_of(store: Store, referred: Referred) -> dict[str, float] | None:
    """Return α of each connection after training, the mean over the seeds, by the connection's name.

    Of a network that only its id names they are those of its best-known training. None where none was recorded: it was
    not trained, has no connections, or an older version trained it.
    """
    places = [referred] if referred.study is not None else places_of(store, referred.architecture.id)
    records = store.evaluations(places[-1].evaluations.values()) if places else {}
    trained = [record.last.alphas for record in records.values() if record.last.alphas]
    if not trained:
        return None
    return {name: fmean(alphas[name] for alphas in trained if name in alphas) for name in trained[0]}


def _of_id(store: Store, text: str) -> Referred:
    ids = store.architecture_ids(text)
    if not ids:
        raise UserError(f"{store.url} holds no network whose id begins with {text}")
    if len(ids) > 1:
        lines = [f"  {id}  {sentence_of(store.get_architecture(id).network)}" for id in ids[:_SHOWN]]
        more = [f"  … and {len(ids) - _SHOWN} more"] if len(ids) > _SHOWN else []
        raise UserError("\n".join([f"{len(ids)} networks have ids that begin with {text}:", *lines, *more]))
    return Referred(name=text, architecture=store.get_architecture(ids[0]))


def _of_fidelity(store: Store, text: str, study: str, fidelity: str, last: str) -> Referred:
    trials = store.trials(study, fidelity)
    roles = [role for role in store.roles(study) if (role.role, role.fidelity) == ("baseline", fidelity)]
    if last.isdigit():
        named: list[Trial | Role] = [trial for trial in trials if trial.number == int(last)]
    else:
        named = [*(role for role in roles if role.name == last), *(trial for trial in trials if trial.label == last)]
    if not named:
        raise UserError(f"{study}/{fidelity} has no '{last}'; {_known(trials, roles)}")
    id = named[0].architecture_id
    every: list[Trial | Role] = [*trials, *roles]
    trained = [one for one in every if one.architecture_id == id and one.evaluation is not None]
    complete = [one for one in trained if isinstance(one, Role) or one.values is not None]
    return Referred(
        name=text,
        architecture=store.get_architecture(id),
        study=study,
        fidelity=fidelity,
        role=named[0].name if isinstance(named[0], Role) else WINNER,
        seed=named[0].seed if last.isdigit() else None,
        evaluations={one.seed: one.evaluation for one in complete if one.evaluation is not None},
    )


def _known(trials: Iterable[Trial], roles: Iterable[Role]) -> str:
    names = dict.fromkeys([*(role.name for role in roles), *(trial.label for trial in trials if trial.label)])
    numbers = [trial.number for trial in trials]
    counted = f"trials {min(numbers)} to {max(numbers)}" if numbers else "no trials"
    return f"it has {counted}" + (f" and {', '.join(names)}" if names else "")
