"""A study's own trainings as a table, so that searches can be replayed on what was trained. Reads, never writes.

Every architecture of the space needs every fidelity with one common seed, which is replayed, and further seeds at the
last one, which are the truth: `sampler: grid`, `promote: {top: <all of them>}`, and `seeds` of the last fidelity that
the earlier ones do not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from dcasearch.architecture import Architecture, vanilla_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import UserError
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import CLASSIFICATION
from dcasearch.replay.table import LOSS, Head, Member, Row, Table
from dcasearch.search.assignments import assignment_of
from dcasearch.space import LoadedStudy
from dcasearch.store import Store, StoredStudy
from dcasearch.training import Assignment

MOST = 10_000
"""Architectures of a space that is looked through."""


def table_of(loaded: LoadedStudy, store: Store) -> Table:
    """Return the table that a finished study's database holds.

    Raises:
        UserError: the study trains no classifiers, or decides by what tables do not hold; the database has no such
            study, or an architecture of its space lacks a training.
    """
    study = loaded.study
    if study.task != CLASSIFICATION.name:
        raise UserError(
            f"study '{study.name}' cannot be replayed: tables hold classifiers, and its task is {study.task}"
        )
    decided_by = study.model_copy(update={"metrics": ()}).further_metrics
    if decided_by:
        raise UserError(
            f"study '{study.name}' cannot be replayed: tables hold top1 and loss, and it decides by "
            f"{' and '.join(decided_by)}"
        )
    record = store.get_study(study.name)
    if record is None:
        raise UserError(f"study '{study.name}' is not in {store.url}; run it first")
    reader = _Reader(study, store, record)
    members = {id: reader.member(a) for id, a in _architectures(loaded).items()}
    rows = {(r.of, r.fidelity, r.seed): r for r in reader.rows()}
    last = study.fidelities[-1]
    truth_from = _truth_from(study)
    head = Head(
        name=study.name,
        study=study.model_dump(mode="json", exclude_defaults=True, exclude={"data": {"root"}, "storage": True}),
        classes=reader.classes,
        data=str(record.meaning["data"]),
        truth=last.name,
        truth_from=truth_from,
    )
    table = Table(head, tuple(members.values()), rows)
    lacking = _lacking(table, study, truth_from)
    if lacking:
        raise UserError(
            f"study '{study.name}' cannot be replayed: of the {len(members)} architectures of its space "
            f"are trained\n" + "\n".join(f"  {line}" for line in lacking) + "\n"
            "A replay needs every architecture at every fidelity, and further seeds at the last one: sampler: grid, "
            "promote: {top: (all of them)}."
        )
    return table


def _architectures(loaded: LoadedStudy) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for n, point in enumerate(loaded.space.enumerate()):
        if n == MOST:
            raise UserError(f"study '{loaded.study.name}': a space of more than {MOST:,} choices cannot be replayed")
        found.setdefault(point.architecture.id, point.architecture)
    return found


def _truth_from(study: Study) -> int:
    """Return the first seed of the truth: above all that a replayed search may use."""
    *earlier, last = study.fidelities
    replayed = max((seed for fidelity in earlier for seed in fidelity.all_seeds), default=min(last.all_seeds))
    return replayed + 1


def _lacking(table: Table, study: Study, truth_from: int) -> list[str]:
    lines = []
    for fidelity in study.fidelities:
        if not table.seeds(fidelity.name):
            best = max((_trained(table, fidelity.name, seed) for seed in fidelity.all_seeds), default=0)
            lines.append(f"{fidelity.name}: {best} with one common seed below {truth_from}")
    if not table.judged.shape[1]:
        seeds = [seed for seed in study.fidelities[-1].all_seeds if seed >= truth_from]
        most = max((_trained(table, table.head.truth, seed) for seed in seeds), default=0)
        lines.append(f"{table.head.truth}: {most} with one common seed from {truth_from} on, which would be the truth")
    return lines


def _trained(table: Table, fidelity: str, seed: int) -> int:
    return sum((member.architecture, fidelity, seed) in table.rows for member in table.members)


class _Reader:
    def __init__(self, study: Study, store: Store, record: StoredStudy) -> None:
        self._study, self._store = study, store
        self.classes = int(record.meaning["data.classes"])
        self._data = str(record.meaning["data"])
        self._known: dict[str, Architecture] = {}

    def member(self, architecture: Architecture) -> Member:
        self._known[architecture.id] = architecture
        costs = self._store.get_costs(architecture.id, self._study.fidelities[-1].resolution, self.classes)
        return Member(
            architecture=architecture.id,
            spec=architecture.to_dict(),
            params=int(costs.get("params", 0)),
            macs=int(costs.get("macs", 0)),
            parent=vanilla_of(architecture).id,
        )

    def rows(self) -> Iterator[Row]:
        """Yield a row for each stored training of a member, and for each of a parent."""
        wanted: dict[str, tuple[str, str, Assignment]] = {}
        for fidelity in self._study.fidelities:
            for id, assignment in self._assignments(fidelity):
                wanted[assignment.key.id] = id, fidelity.name, assignment
                if assignment.parent is not None:
                    parent = assignment.parent
                    wanted[parent.key.id] = parent.architecture.id, f"{fidelity.name}.parent", parent
        for key, evaluation in self._store.evaluations(wanted).items():
            of, name, assignment = wanted[key]
            yield _row(of, name, assignment, evaluation)

    def _assignments(self, fidelity: Fidelity) -> Iterator[tuple[str, Assignment]]:
        for id, architecture in self._known.items():
            for seed in fidelity.all_seeds:
                yield id, assignment_of(self._study, fidelity, architecture, seed, data_fingerprint=self._data)


def _row(of: str, name: str, assignment: Assignment, evaluation: Evaluation) -> Row:
    history = evaluation.history
    scored = assignment.fidelity.kind == "zero_cost"
    return Row(
        of=of,
        fidelity=name,
        seed=assignment.seed,
        values=tuple(e.values[e.headline.name] for e in history),
        losses=() if scored else tuple(e.values[LOSS] for e in history),
        seconds=tuple(e.seconds for e in history),
        weights_sha256=evaluation.weights_sha256 if name.endswith(".parent") else None,
    )
