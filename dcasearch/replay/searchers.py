"""Who searches: each takes a table and a seed, and returns what it would recommend after each training it paid for."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna

from dcasearch.config.study import Study
from dcasearch.data import DataInfo
from dcasearch.errors import UserError
from dcasearch.registry import Registry
from dcasearch.replay.executor import Step, TableExecutor, Trace, look_up
from dcasearch.replay.table import Table
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


@dataclass(frozen=True)
class StudySearcher:
    """A study of ours, run by its own code from its first trial to its winner."""

    levels: tuple[str, ...]
    """Names of the table's fidelities, the cheapest first."""
    sampler: Mapping[str, Any]
    trials: float = 1.0
    """Of the first level, as a share of the table's architectures."""
    top: int = 5
    """Promoted from each level to the next."""
    pruner: Mapping[str, Any] | None = None
    """Of the first level."""

    def __call__(self, table: Table, seed: int) -> list[Step]:
        """See `Searcher`."""
        with tempfile.TemporaryDirectory() as folder:
            study = self._study(table, seed, Path(folder))
            loaded = LoadedStudy(study, read_space(study.space), Path(study.name), frozenset())
            executor = TableExecutor(table, self.levels, Path(study.artifacts))
            head = table.head
            data = DataInfo(
                fingerprint=head.data, classes=head.classes, train_images=1, validation_images=1, test_images=1
            )
            store = Store.open(study.storage, create=True)
            run(loaded, store, executor, data=data)
        return executor.trace.steps

    def _study(self, table: Table, seed: int, folder: Path) -> Study:
        written = {f["name"]: f for f in table.head.study["fidelities"]}
        common = {"seeds": [training_seed(table, self.levels, seed)], "trials": None, "promote": None}
        levels = [{**written[name], **common} for name in self.levels]
        levels[0]["trials"] = max(1, round(self.trials * len(table.members)))
        levels[0]["pruner"] = dict(self.pruner or {})
        for level in levels[1:]:
            level["promote"] = {"top": self.top}
        changes = {
            "name": "replay",
            "fidelities": levels,
            "sampler": {**self.sampler, "seed": seed},
            "baselines": False,
            "storage": f"sqlite:///{folder / 'replay.db'}",
            "artifacts": str(folder / "artifacts"),
            "executor": {"name": "local"},
        }
        return Study.model_validate({**table.head.study, **changes})


def training_seed(table: Table, levels: tuple[str, ...], seed: int) -> int:
    """Return the seed of every training of one replayed search."""
    common = set.intersection(*(set(table.seeds(level)) for level in levels))
    if not common:
        raise UserError(f"table: no seed is complete at {', '.join(levels)}")
    return sorted(common)[seed % len(common)]


SEARCHERS.register("dcasearch")(StudySearcher(("warm", "long"), {"name": "random"}, trials=1.0, top=5))
SEARCHERS.register("dcasearch, proxy from scratch")(
    StudySearcher(("proxy", "long"), {"name": "random"}, trials=1.0, top=5)
)
SEARCHERS.register("random search")(StudySearcher(("long",), {"name": "random"}))
SEARCHERS.register("successive halving")(
    StudySearcher(("long",), {"name": "random"}, pruner={"name": "successive_halving", "startup": 2})
)


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
