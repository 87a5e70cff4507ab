"""What stays in the artifact store: the checkpoints of trainings that run, and the weights of the best few.

A checkpoint goes once its record is stored, or once the later fidelity has ended that goes on from it; weights go
once better ones are there; where a study has a budget of disk, what is beyond it goes too. What other studies of the
database count on stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from dcasearch.artifacts import Place, remove_leftovers, size_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import StorageError, TrialFailure
from dcasearch.evaluation import Evaluation, EvaluationKey
from dcasearch.metrics import Direction
from dcasearch.search.assignments import assignment_of
from dcasearch.search.objectives import objectives_at, ranking
from dcasearch.search.sharing import is_unfinished, trainings_elsewhere, weights_needed
from dcasearch.store import Store
from dcasearch.training import (
    checkpoint_ids,
    checkpoint_of,
    checkpoint_path,
    continues,
    discard,
    discard_of,
    later_continues,
    weights_path,
    weights_sizes,
)
from dcasearch.trial import Role, State, Trial

_FOLDERS = ("checkpoints", "weights")


class Retention:
    """Deletes what no longer needs to be kept; safe to repeat after a driver died."""

    def __init__(
        self,
        artifacts: Place,
        keep: int,
        objectives: Mapping[str, Direction],
        trials: Iterable[Trial],
        *,
        continued: bool = False,
        needed: Callable[[Collection[str]], Collection[str]] = lambda ids: (),
    ) -> None:
        """Delete what an earlier driver should have deleted.

        Args:
            artifacts: the artifact store.
            keep: evaluations whose weights stay.
            objectives: those that say which are the best.
            trials: that have ended.
            continued: whether a later fidelity goes on from these trainings, whose checkpoints then stay.
            needed: returns those of some evaluations whose weights someone else counts on; they stay.
        """
        self._needed = needed
        self._artifacts, self._keep, self._objectives = artifacts, keep, objectives
        self._continued = continued
        self._kept = [trial for trial in trials if trial.state is State.COMPLETE]
        # Of thousands of trials few have weights, and asking an object store for each would take minutes.
        stored = weights_sizes(artifacts)
        self._drop(lambda trial: trial.evaluation in stored)

    def ended(self, trial: Trial, evaluation: Evaluation) -> None:
        """Delete the checkpoint of a stored evaluation, and the weights that are not among the best any more."""
        if not self._continued or trial.state is not State.COMPLETE:
            discard(evaluation.key, self._artifacts)
        if trial.state is State.COMPLETE:
            self._kept.append(trial)
            self._drop()
        else:
            self._delete_weights([trial])

    def failed(self, key: EvaluationKey, failure: TrialFailure) -> None:
        """Delete the checkpoint of a training that failed."""
        discard_failed(key, failure, self._artifacts)

    def _drop(self, stored: Callable[[Trial], bool] = lambda trial: True) -> None:
        order = ranking(self._objectives, [trial.values or () for trial in self._kept], "value")
        self._delete_weights(filter(stored, [self._kept[n] for n in order[self._keep :]]))
        self._kept = [self._kept[n] for n in order[: self._keep]]

    def _delete_weights(self, trials: Iterable[Trial]) -> None:
        ids = {trial.evaluation for trial in trials if trial.evaluation is not None}
        for id in ids.difference(self._needed(ids) if ids else ()):
            weights_path(self._artifacts, id).unlink(missing_ok=True)


def discard_failed(key: EvaluationKey, failure: TrialFailure, artifacts: Place) -> None:
    """Delete the checkpoint of a training that failed, but for its machine's fault: then another may go on from it."""
    if failure.kind != "lost":
        discard(key, artifacts)


class Disk:
    """A study's share of the artifact store, held within its budget (`disk`) where it has one."""

    def __init__(
        self,
        study: Study,
        store: Store,
        artifacts: Place,
        data_fingerprint: str,
        split_fingerprints: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Take the study, and the fingerprints of its data: of the search, and of final trainings by their seed."""
        self._study, self._store, self._artifacts = study, store, artifacts
        self._data_fingerprint, self._split_fingerprints = data_fingerprint, split_fingerprints

    def clear(self) -> None:
        """Delete the checkpoints of this study's trainings that have ended: a driver that died left them behind.

        Those stay that a later fidelity may still go on from; they go when it ends (`drop_beginnings`). So do those of
        trainings whose machine failed for good: `dcasearch retry` goes on from them. What a killed process had not
        finished to write goes too.
        """
        for folder in _FOLDERS:
            remove_leftovers(self._artifacts / folder)
        for id in self.ended(checkpoint_ids(self._artifacts)):
            discard_of(id, self._artifacts)

    def ended(self, stored: Collection[str]) -> set[str]:
        """Return those checkpoints that `clear` deletes, by the ids of their evaluations.

        Args:
            stored: the checkpoints that there are.
        """
        left = set(stored).difference(self._beginnings(self._study.fidelities))
        if not left:
            return set()
        trials, roles = self._store.trials(self._study.name), self._store.roles(self._study.name)
        entries: list[Trial | Role] = [*trials, *roles]
        recorded = [entry.evaluation for entry in entries if entry.evaluation in left]
        ended = {record.key for record in self._store.evaluations(filter(None, recorded)).values()}
        ended |= {self._key(entry) for entry in entries if entry.failure not in (None, "lost")}
        elsewhere = trainings_elsewhere(self._store, self._study.name)
        # A training may have ended as one trial and run as another, after its machine failed.
        over = ended - {self._key(entry) for entry in entries if is_unfinished(entry)}
        return {key.id for key in over if key.id in left and (key.architecture_id, key.seed) not in elsewhere}

    def unrecorded(self) -> set[str]:
        """Return the evaluations that have no record yet or failed: each may have left a checkpoint."""
        levels = {fidelity.name for fidelity in self._study.fidelities}
        entries: list[Trial | Role] = [*self._store.trials(self._study.name), *self._store.roles(self._study.name)]
        without = [entry for entry in entries if entry.failure is not None or is_unfinished(entry)]
        return {self._key(entry).id for entry in without if entry.fidelity in levels}

    def wanted(self) -> set[str]:
        """Return the evaluations whose checkpoints `run` or `dcasearch retry` may still go on from."""
        entries: list[Trial | Role] = [*self._store.trials(self._study.name), *self._store.roles(self._study.name)]
        unfinished = {self._key(entry).id for entry in entries if is_unfinished(entry)}
        lost = set(self._lost())
        lost -= self._store.evaluations(lost).keys()  # taken up again, and ended since
        return unfinished.union(lost, self._beginnings(self._study.fidelities))

    def _lost(self) -> list[str]:
        """Return the evaluations of trainings whose machine failed for good, which may have left a checkpoint."""
        entries: list[Trial | Role] = [*self._store.trials(self._study.name), *self._store.roles(self._study.name)]
        return [self._key(entry).id for entry in entries if entry.failure == "lost"]

    def _beginnings(self, fidelities: Iterable[Fidelity]) -> list[str]:
        """Return the evaluations of these fidelities that a later one may go on from, the worst trials first."""
        found: list[str | None] = []
        for fidelity in fidelities:
            if later_continues(self._study, fidelity):
                roles = self._store.roles(self._study.name)
                found += [r.evaluation for r in roles if (r.role, r.fidelity) == ("baseline", fidelity.name)]
                found += self._worst_first(fidelity)
        return [id for id in found if id is not None]

    def drop_beginnings(self, ended: Fidelity) -> None:
        """Delete the checkpoints that only a fidelity which has ended could have gone on from."""
        after = self._study.fidelities[self._study.fidelities.index(ended) + 1 :]
        before = [f for f in self._study.fidelities if continues(ended, f) and not any(continues(g, f) for g in after)]
        if before:
            for id in checkpoint_ids(self._artifacts) & set(self._beginnings(before)):
                discard_of(id, self._artifacts)

    def _key(self, entry: Trial | Role) -> EvaluationKey:
        fidelity = next(fidelity for fidelity in self._study.fidelities if fidelity.name == entry.fidelity)
        final = isinstance(entry, Role) and entry.role == "final"
        # No seed of the search is one of `final`, so a parent's seed says whose parent it is.
        split = isinstance(entry, Role) and entry.role != "baseline" and entry.seed in self._split_fingerprints
        assignment = assignment_of(
            self._study,
            fidelity,
            self._store.get_architecture(entry.architecture_id),
            entry.seed,
            data_fingerprint=self._split_fingerprints[entry.seed] if split else self._data_fingerprint,
            protocol="test" if final else None,
            data=self._study.data_of_final(entry.seed) if split else None,
        )
        return (
            assignment.parent.key
            if isinstance(entry, Role) and entry.role == "parent" and assignment.parent
            else assignment.key
        )

    def make_room(self, running: Iterable[EvaluationKey]) -> None:
        """Delete the least wanted weights until the study's files are within its budget.

        Checkpoints of trainings whose machine failed for good go first, then those that a later fidelity could go on
        from: it then starts from scratch. Then baselines' weights, those of trials, from the first fidelity to the last
        and from worst to best; those of the final trainings last, and of these the first seed's. Checkpoints of running
        trainings stay, and the parents that others start from.

        Args:
            running: the trainings that run, or are about to.

        Raises:
            StorageError: the checkpoints alone are larger than the budget.
        """
        budget = self._study.disk
        if budget is None:
            return
        checkpoints = [size_of(checkpoint_path(key, self._artifacts)) for key in running]
        if sum(checkpoints) > budget:
            raise StorageError(
                f"disk: the checkpoints of {len(checkpoints)} running trainings take {sum(checkpoints) / 1e9:,.2f} GB, "
                f"more than the budget of {budget / 1e9:,.2f} GB; raise `disk` or lower executor.max_concurrent, then "
                "run the same command"
            )
        keep = {key.id for key in running}
        beginnings = [id for id in (*self._lost(), *self._beginnings(self._study.fidelities)) if id not in keep]
        stored = checkpoint_ids(self._artifacts) if beginnings else set()
        extra = {id: size_of(checkpoint_of(id, self._artifacts)) for id in beginnings if id in stored}
        sizes = weights_sizes(self._artifacts)
        unfinished = self._unfinished()
        if sum(checkpoints) + sum(extra.values()) + sum(sizes.values()) + sum(unfinished.values()) <= budget:
            return
        order = [id for id in self._least_wanted_first() if id in sizes]
        parents = {role.evaluation for role in self._store.roles(self._study.name) if role.role == "parent"}
        mine = parents.union(order)
        used = sum(checkpoints) + sum(extra.values()) + sum(size for id, size in sizes.items() if id in mine)
        used += sum(size for id, size in unfinished.items() if id in mine | keep | extra.keys())
        for id, size in extra.items():
            if used <= budget:
                return
            discard_of(id, self._artifacts)
            used -= size
        elsewhere = weights_needed(self._store, self._study.name, order, own_roles=False)
        order = [id for id in order if id not in parents and id not in elsewhere]
        for id in order:
            if used <= budget:
                return
            weights_path(self._artifacts, id).unlink(missing_ok=True)
            used -= sizes[id]

    def _unfinished(self) -> dict[str, int]:
        """Return the bytes of what is half written or was set aside, by the id of the evaluation."""
        found: dict[str, int] = {}
        for folder in _FOLDERS:
            place = self._artifacts / folder
            for file in place.iterdir() if place.is_dir() else ():
                if file.suffix in (".tmp", ".broken"):
                    id = file.name.split(".")[0]
                    found[id] = found.get(id, 0) + size_of(file)
        return found

    def _least_wanted_first(self) -> list[str]:
        """Return the evaluations of this study that may have weights, each once."""
        roles = self._store.roles(self._study.name)
        order = [role.evaluation for role in roles if role.role == "baseline"]
        for fidelity in self._study.fidelities:
            order += self._worst_first(fidelity)
        # The last seeds go first: the first one is exported, and is of the search's own split.
        order += [role.evaluation for role in reversed(roles) if role.role == "final"]
        # A training that is two things is as wanted as the better of them.
        last_first = dict.fromkeys(id for id in reversed(order) if id is not None)
        return list(reversed(last_first))

    def _worst_first(self, fidelity: Fidelity) -> list[str | None]:
        """Return the evaluations of the complete trials of a fidelity."""
        complete = [t for t in self._store.trials(self._study.name, fidelity.name) if t.state is State.COMPLETE]
        objectives = objectives_at(self._study, fidelity)
        best_first = ranking(objectives, [trial.values or () for trial in complete], "value")
        return [complete[n].evaluation for n in reversed(best_first)]
