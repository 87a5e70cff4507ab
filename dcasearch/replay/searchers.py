"""Who searches: each takes a table and a seed, and returns what it would recommend after each training it paid for."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from pydantic import ValidationError

from dcasearch.config.study import Study
from dcasearch.data import DataInfo
from dcasearch.errors import UserError, mistakes_of
from dcasearch.metrics import METRICS
from dcasearch.registry import Registry
from dcasearch.replay.executor import Step, TableExecutor, Trace, look_up
from dcasearch.replay.table import LOSS, VALUE, Table
from dcasearch.space import LoadedStudy
from dcasearch.space.reading import read_space
from dcasearch.store import Store
from dcasearch.study import run


class Searcher(Protocol):
    """A way to search that can be replayed."""

    def __call__(self, table: Table, seed: int) -> list[Step]:
        """Search once.

        Args:
            table: what every training would give; its truth is not to be looked at.
            seed: of the search; which of the replayed training seeds it gets follows from it.
        """


SEARCHERS: Registry[Searcher] = Registry("a searcher")
TRUTH = "(truth)"
"""In place of a level's name: the fidelity that the table is judged by, whatever its name."""


@dataclass(frozen=True)
class StudySearcher:
    """A study of ours, run by its own code from its first trial to its winner."""

    levels: tuple[str, ...]
    """Names of the table's fidelities or of scores that it has, the cheapest first."""
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"name": "random"})
    trials: float = 1.0
    """Of the first level, as a share of the table's architectures."""
    tops: tuple[int, ...] = ()
    """Promoted to each level after the first."""
    metric: str = VALUE
    """What trainings are compared by."""
    pruner: Mapping[str, Any] | None = None
    """Of the first level."""

    def __call__(self, table: Table, seed: int) -> list[Step]:
        """See `Searcher`."""
        names = self._names(table)
        written = {f["name"]: f for f in table.head.study["fidelities"]}
        levels = [written.get(name) or _scored(written[table.head.truth], name) for name in names]
        seeds = [training_seed(table, names, seed)]
        common: dict[str, Any] = {"seeds": seeds, "trials": None, "promote": None, "pruner": {}}
        levels = [{**level, **common} for level in levels]
        levels[0]["trials"] = max(1, round(self.trials * len(table.members)))
        levels[0]["pruner"] = dict(self.pruner or {})
        for level, top in zip(levels[1:], self.tops, strict=True):
            level["promote"] = {"top": top}
        objectives = {self.metric: METRICS[self.metric].direction}
        changes = {"fidelities": levels, "objectives": objectives, "sampler": {**self.sampler, "seed": seed}}
        if self.sampler["name"] == "random":  # the same without the repeats, which cost nothing but take their time
            changes["enqueue"] = _shuffled(table, seed)[: levels[0]["trials"]]
        return _searched(table, changes)

    def fits(self, table: Table) -> bool:
        """Tell whether a table has all levels."""
        return all(table.seeds(name) for name in self._names(table))

    def _names(self, table: Table) -> tuple[str, ...]:
        return tuple(table.head.truth if name == TRUTH else name for name in self.levels)


def as_written(table: Table, seed: int) -> list[Step]:
    """Search as the table's study says, but for its seeds: one for all fidelities, and no race."""
    written = table.head.study["fidelities"]
    common = {"seeds": [training_seed(table, tuple(f["name"] for f in written), seed)]}
    levels = [{**f, **common} for f in written]
    for level in levels[1:]:
        level["promote"] = {**(level.get("promote") or {}), "race": None}
    sampler = {**table.head.study.get("sampler", {}), "seed": seed}
    return _searched(table, {"fidelities": levels, "sampler": sampler, "enqueue": ()})


def fitting(table: Table) -> dict[str, Searcher]:
    """Return by name the searchers whose levels a table has."""
    return {name: s for name, s in SEARCHERS.items() if not isinstance(s, StudySearcher) or s.fits(table)}


def _shuffled(table: Table, seed: int) -> list[dict[str, Any]]:
    """Return the parameters of each architecture of the space once, in a random order."""
    points = {p.architecture.id: dict(p.params) for p in read_space(table.head.study["space"]).enumerate()}
    return random.Random(seed).sample(list(points.values()), len(points))


def _searched(table: Table, changes: Mapping[str, Any]) -> list[Step]:
    head = table.head
    with tempfile.TemporaryDirectory() as folder:
        alone = {
            "name": "replay",
            "baselines": False,
            "final": None,
            "stop": {},
            "storage": f"sqlite:///{Path(folder) / 'replay.db'}",
            "artifacts": str(Path(folder) / "artifacts"),
            "executor": {"name": "local"},
        }
        try:
            study = Study.model_validate({**head.study, **changes, **alone})
        except ValidationError as error:
            raise UserError(f"table '{head.name}': its study cannot be searched so: {mistakes_of(error)[0]}") from None
        loaded = LoadedStudy(study, read_space(study.space), Path(study.name), frozenset())
        executor = TableExecutor(table, study)
        data = DataInfo(fingerprint=head.data, classes=head.classes, train_images=1, validation_images=1, test_images=1)
        with Store.open(study.storage, create=True) as store:
            run(loaded, store, executor, data=data)
    return executor.trace.steps


def _scored(like: Mapping[str, Any], score: str) -> dict[str, Any]:
    """Return a level that scores the networks of another."""
    kept = {name: like[name] for name in ("resolution", "train_fraction", "recipe") if name in like}
    return {**kept, "name": score, "kind": "zero_cost", "score": score, "epochs": 1, "batches": 2}


def training_seed(table: Table, levels: tuple[str, ...], seed: int) -> int:
    """Return the seed of every training of one replayed search."""
    common = set.intersection(*(set(table.seeds(level)) for level in levels))
    if not common:
        raise UserError(f"table '{table.head.name}': no seed is complete at {' and '.join(levels)}")
    return sorted(common)[seed % len(common)]


# Tuned on one table of docs/evidence.md: every network is scored, eight are fine-tuned from their vanilla parent, and
# the one of the lowest loss is trained at length.
SEARCHERS.register("dcasearch")(StudySearcher(("zico", "warm", TRUTH), tops=(8, 1), metric=LOSS))
SEARCHERS.register("dcasearch, proxy from scratch")(StudySearcher(("zico", "proxy", TRUTH), tops=(8, 1), metric=LOSS))
SEARCHERS.register("dcasearch, without scores")(StudySearcher(("warm", TRUTH), tops=(1,), metric=LOSS))
SEARCHERS.register("random search")(StudySearcher((TRUTH,)))
SEARCHERS.register("successive halving")(StudySearcher((TRUTH,), pruner={"name": "successive_halving", "startup": 2}))


@SEARCHERS.register("optuna tpe")
def optuna_tpe(table: Table, seed: int) -> list[Step]:
    """Search with Optuna's TPE as it comes: its defaults, every suggestion trained, one that it repeats too."""
    space, trace = read_space(table.head.study["space"]), Trace()
    level = table.head.truth
    training = training_seed(table, (level,), seed)

    def objective(trial: optuna.Trial) -> float:
        point = space.sample(lambda name, choices: trial.suggest_categorical(name, choices))
        row = look_up(table, point.architecture, level, training)
        trace.add(point.architecture.id, 0, row.values[-1], sum(row.seconds))
        return row.values[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=len(table.members))
    return trace.steps


@SEARCHERS.register("random pick")
def random_pick(table: Table, seed: int) -> list[Step]:
    """Take an architecture at random, for nothing."""
    return [Step(0.0, random.Random(seed).choice(table.members).architecture)]


@SEARCHERS.register("most parameters")
def most_parameters(table: Table, seed: int) -> list[Step]:
    """Take the architecture with the most parameters, for nothing; equal ones at random."""
    most = max(member.params for member in table.members)
    return [Step(0.0, random.Random(seed).choice([m for m in table.members if m.params == most]).architecture)]
