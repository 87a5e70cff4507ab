"""What a database holds for the power of a study: the trainings of each fidelity, whoever asked for them.

Reads, never writes. Trainings of equal meaning count, those of other studies in the database too, except of warm
starts, where every parent makes a meaning of its own: then the study's own alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from dcasearch.analysis.expected import Expected, expected
from dcasearch.analysis.power import Measurement, Power, power
from dcasearch.analysis.resampling import splits_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.evaluation import EvaluationKey, EvaluationProtocol
from dcasearch.search.assignments import assignment_of
from dcasearch.space import Space
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial

if TYPE_CHECKING:  # the room of data needs torch
    from dcasearch.data import DataInfo

FINAL = "final"
LOSS = "loss"
"""The metric whose noise is told beside the headline's, where an assignment measures it."""


def powers_of(
    study: Study, store: Store | None, data: DataInfo | None = None, space: Space | None = None
) -> dict[str, Power]:
    """Return by fidelity, and for `final`, what can be told apart; scores have no accuracy and are left out.

    Args:
        study: The study.
        store: Its database, where one exists.
        data: Where it is there; else the number of images is what the study was stored with.
        space: Where given, trainings of other studies are found before this one has any.
    """
    record = None if store is None else store.get_study(study.name)
    meaning = {} if record is None else record.meaning
    validation = data.validation_images if data else meaning.get("data.validation_images")
    test = data.test_images if data else meaning.get("data.test_images")
    found: dict[str, Power] = {}
    reader = _Reader(study, store, data, space)
    splits = splits_of(study)  # the noise between splits is not that between seeds, so neither stands for the other
    metric = study.headline
    for fidelity in study.fidelities:
        if fidelity.kind == "training":
            measured, leaders = reader.of(fidelity, study.data.protocol)
            found[fidelity.name] = power(
                fidelity.name,
                measured,
                metric=metric,
                images=validation,
                seeds=len(fidelity.seeds),
                elsewhere=[] if splits else reader.of(fidelity, "test")[0],
                elsewhere_name=FINAL,
                candidates=max(1, leaders),
            )
    if study.final is not None:
        last = study.fidelities[-1]
        found[FINAL] = power(
            FINAL,
            reader.of(last, "test")[0],
            metric=metric,
            images=test,
            seeds=len(study.final.seeds),
            elsewhere=[] if splits else reader.of(last, study.data.protocol)[0],
            elsewhere_name=last.name,
            splits=splits,
        )
    return found


def final_roles(study: Study, roles: Iterable[Role]) -> list[Role]:
    """Return the final trainings; where each seed has a split, those of the seeds that are planned now."""
    finals = [role for role in roles if role.role == "final"]
    splits = splits_of(study)
    return finals if splits is None else [role for role in finals if role.seed in splits.of_seed]


def expected_of(study: Study) -> tuple[Expected, ...]:
    """Return how sharply each proxy will be known, by the trials that it promotes."""
    found = []
    reaching = study.fidelities[0].trials or 0
    for proxy, following in zip(study.fidelities, study.fidelities[1:], strict=False):
        if following.promote is not None:
            seen = expected(proxy.name, following.name, following.promote, reaching)
            found.append(seen)
            reaching = seen.networks
    return tuple(found)


class _Reader:
    def __init__(self, study: Study, store: Store | None, data: DataInfo | None, space: Space | None) -> None:
        self._study, self._store, self._data, self._space = study, store, data, space
        roles = [] if store is None else store.roles(study.name)
        self._roles = [*final_roles(study, roles), *(role for role in roles if role.role != "final")]

    def of(self, fidelity: Fidelity, protocol: EvaluationProtocol) -> tuple[list[Measurement], int]:
        """Return the trainings of a fidelity on one protocol's images, and how many networks were candidates."""
        if self._store is None:
            return [], 0
        search = protocol == self._study.data.protocol
        role = "baseline" if search else "final"
        trials: list[Trial] = self._store.trials(self._study.name, fidelity.name) if search else []
        # Who was pruned was a candidate too: the leader is the luckiest of all.
        candidates = {t.architecture_id for t in trials if t.state in (State.COMPLETE, State.PRUNED)}
        trials = [t for t in trials if t.state is State.COMPLETE and t.evaluation is not None]
        ids = {t.evaluation or "" for t in trials}
        ids |= {r.evaluation for r in self._roles if (r.fidelity, r.role) == (fidelity.name, role) and r.evaluation}
        own = self._store.measured(ids)
        # Trainings of other studies are of one split each, so none of them says what another split would.
        alone = not search and splits_of(self._study) is not None
        like = None if alone else self._meaning(fidelity, protocol, _usual(own))
        if like is not None:
            own |= self._store.measured_like(like, fidelity.epochs)
        headline = self._study.headline.name
        measured = [Measurement(k.architecture_id, k.seed, v[headline], v.get(LOSS)) for k, v in own.items()]
        return sorted(measured, key=lambda m: (m.architecture_id, m.seed)), len(candidates)

    def _meaning(
        self, fidelity: Fidelity, protocol: EvaluationProtocol, own: EvaluationKey | None
    ) -> EvaluationKey | None:
        """Return what equal trainings share; None where none can be told to be equal."""
        if fidelity.parent is not None:
            return None
        if own is not None or self._space is None or self._data is None:
            return own
        baselines = self._space.baselines(True)
        if not baselines:
            return None
        assignment = assignment_of(
            self._study, fidelity, baselines[0].architecture, 0, data_fingerprint=self._data.fingerprint
        )
        return replace(assignment.key, protocol=protocol)


def _usual(keys: Iterable[EvaluationKey]) -> EvaluationKey | None:
    """Return a key of the meaning that most have: controls are measured, and warm starts begin, in their own way."""
    by_meaning: dict[str, list[EvaluationKey]] = {}
    for key in keys:
        by_meaning.setdefault(key.fidelity, []).append(key)
    return max(by_meaning.values(), key=len)[0] if by_meaning else None
