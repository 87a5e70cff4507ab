"""Where a study stands: what became of its trials, its baselines, and who leads by how much. Reads, never writes."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from dcasearch import __version__
from dcasearch.analysis.measured import FINAL, final_roles, powers_of
from dcasearch.analysis.naming import Sentences, sentences_of
from dcasearch.analysis.power import Difference, Power, difference, legend, mean_margin
from dcasearch.analysis.races import race_at
from dcasearch.analysis.table import Table, table_of
from dcasearch.bounds import STORED
from dcasearch.config.study import ScoreName, Study
from dcasearch.errors import StorageError, UserError, nearest
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import METRICS, SCORE, Direction, Metric
from dcasearch.search.objectives import headline_at, objectives_at
from dcasearch.search.racing import RaceStanding
from dcasearch.search.winner import Winner, winner_of
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial, shown_as


@dataclass(frozen=True)
class OverSplits:
    """What the final trainings of one network say over several splits of the data."""

    splits: int
    """Those that are measured."""
    margin: float | None
    """Half-width of the 95% interval of the mean, corrected for splits that share images; None below two splits."""
    own: float | None
    """The value on the search's own split; None where it is not measured."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A candidate's values over its seeds, and the leader's distance to it."""

    name: str
    architecture_id: str
    seeds: tuple[int, ...]
    headline: Metric
    """The metric that it is compared by: the task's first, or the score of a zero-cost fidelity."""
    values: Mapping[str, tuple[float, ...]]
    """By metric, one value per seed; empty where every training failed."""
    failure: str = ""
    label: str | None = None
    """What a list of architectures calls the network."""
    of_classes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By class: the headline metric of the class, one value per seed; empty where the task does not measure it."""
    behind: Difference | None = None
    """The leader minus this one, in the headline metric; None for the leader itself, and for scores."""
    over_splits: OverSplits | None = None
    """Of final trainings, where the data is divided anew for them."""

    @property
    def compared(self) -> tuple[float, ...]:
        """Values of the headline metric, one per seed."""
        return self.values.get(self.headline.name, ())

    @property
    def scored(self) -> bool:
        """Whether it was scored instead of trained."""
        return self.headline is SCORE

    @property
    def trained(self) -> bool:
        """Whether at least one of its trainings ended."""
        return bool(self.compared) and not self.scored

    @property
    def shown(self) -> str:
        """How views name it: what selection has put first has not won by that."""
        shown = shown_as(self.name)
        return shown if self.label in (None, self.name) else f"{shown} ({self.label})"

    @property
    def mean(self) -> float:
        """Mean of the headline metric over the seeds."""
        return statistics.fmean(self.compared)

    def ahead_of(self, other: Compared) -> float:
        """Return by how much its mean is above another's, over the seeds that both have; over all if there is none."""
        mine, theirs = (dict(zip(c.seeds, c.compared, strict=True)) for c in (self, other))
        shared = mine.keys() & theirs.keys()
        if not shared:
            return self.mean - other.mean
        return statistics.fmean(mine[seed] - theirs[seed] for seed in sorted(shared))


@dataclass(frozen=True, kw_only=True)
class FidelityStanding:
    """One fidelity of a study."""

    name: str
    trials: tuple[Trial, ...]
    counts: dict[State, int]
    leader: Compared | None
    baselines: tuple[Compared, ...]
    suspended: tuple[int, ...]
    """Numbers of the trials that are running or wait for one that is."""
    objectives: Mapping[str, Direction] = field(default_factory=dict)
    """Of the trials' values: the study's, with the score in the place of what is measured where nothing is trained."""
    score: ScoreName | None = None
    """Which, of a zero-cost fidelity."""
    race: RaceStanding | None = None
    """Of those that were promoted to it, where they race."""
    power: Power | None = None
    """What can be told apart here; None of a zero-cost fidelity."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A study as its database tells it."""

    study: Study
    fidelities: tuple[FidelityStanding, ...]
    finals: tuple[Compared, ...]
    """The winner first, on the test split."""
    winner: Winner | None
    seconds: float
    """Of all stored trainings."""
    final_power: Power | None = None
    """Of the final trainings; None where there are to be none."""
    table: Table | None = None
    """The rows of a list of architectures; None of a space of choices."""
    networks: Sentences = field(default_factory=Sentences)
    """Those that are compared, in words."""

    @property
    def named(self) -> dict[str, str]:
        """Names by architecture id of all that are compared, those of the last comparison first; then a list's rows."""
        leaders = [(f.leader, *f.baselines) for f in reversed(self.fidelities)]
        compared = [*self.finals, *(one for some in leaders for one in some if one is not None)]
        rows = () if self.table is None else self.table.rows
        names: dict[str, str] = {}
        for id, name in (
            *((one.architecture_id, one.shown) for one in compared),
            *((row.row.architecture.id, row.row.label) for row in rows),
        ):
            names.setdefault(id, name)
        return names

    @property
    def legend(self) -> tuple[str, ...]:
        """What a reader of its differences needs to know, a line each."""
        return explained([*self.finals, *(baseline for f in self.fidelities for baseline in f.baselines)])

    @property
    def powers(self) -> tuple[Power, ...]:
        """What can be told apart at each fidelity, and in the end."""
        return tuple(power for power in (*(f.power for f in self.fidelities), self.final_power) if power is not None)


def load_study_of(store: Store, name: str) -> Study:
    """Return a study as it was last run.

    Raises:
        UserError: the database holds no study of that name.
    """
    record = store.get_study(name)
    if record is None:
        raise UserError(f"{store.url} holds no study '{name}'; {nearest(name, (s.name for s in store.studies()))}")
    try:
        return Study.model_validate_json(record.resolved, context=STORED)
    except ValidationError as error:
        raise StorageError(f"{store.url}: study '{name}' {_unreadable(store, name, error)}") from None


def _unreadable(store: Store, name: str, error: ValidationError) -> str:
    """Return why a stored study cannot be read, and what to do."""
    found = error.errors(include_url=False, include_input=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        return f"is damaged: its stored document is no JSON ({first['msg']}); put a copy of the database back"
    writers = sorted(_writers(store, name) - {__version__})
    if first["type"] in ("extra_forbidden", "literal_error", "union_tag_invalid") or writers:
        who = f"dcasearch {writers[-1]}" if writers else "a newer dcasearch"
        return (
            f"was written by {who}; this is {__version__}, which does not know its `{where}` ({first['msg']}). Update "
            "with `pip install --upgrade dcasearch`"
        )
    return f"is damaged: `{where}` {first['msg'][:1].lower()}{first['msg'][1:]}; put a copy of the database back"


def _writers(store: Store, name: str) -> set[str]:
    """Return the versions of dcasearch that trained a study's networks."""
    counted: list[Trial | Role] = [*store.trials(name), *store.roles(name)]
    stored = store.evaluations(one.evaluation for one in counted if one.evaluation is not None)
    return {str(one.provenance["dcasearch"]) for one in stored.values() if "dcasearch" in one.provenance}


def standing_of(store: Store, name: str, reach: float | None = None) -> Standing:
    """Return where a study stands.

    Args:
        store: Its database.
        name: The study.
        reach: Of a list: the accuracy for which each row says when it was reached (`table_of`).

    Raises:
        UserError: the database holds no study of that name.
    """
    study = load_study_of(store, name)
    roles = store.roles(name)
    powers = powers_of(study, store)
    fidelities = tuple(_fidelity(study, store, f.name, roles, powers.get(f.name)) for f in study.fidelities)
    finals = compare(store, final_roles(study, roles), study.headline)
    finals = [over_splits(final, powers.get(FINAL)) for final in finals]
    labels = {t.architecture_id: t.label for f in fidelities for t in f.trials}
    finals = [replace(c, label=labels.get(c.architecture_id)) for c in finals]
    finals = sorted(finals, key=lambda c: c.name != "winner")
    if finals and finals[0].name == "winner":
        finals[1:] = against(finals[0], finals[1:], powers.get(FINAL))
    last = fidelities[-1]
    ids = {t.evaluation for f in fidelities for t in f.trials} | {role.evaluation for role in roles}
    standing = Standing(
        study=study,
        fidelities=fidelities,
        finals=tuple(finals),
        winner=winner_of(study, store, last.name, last.trials) if last.counts.get(State.COMPLETE) else None,
        seconds=store.seconds(id for id in ids if id is not None),
        final_power=powers.get(FINAL),
        table=table_of(study, store, powers.get(last.name), reach),
    )
    return replace(standing, networks=sentences_of(store, standing.named))


def compare(store: Store, roles: Sequence[Role], headline: Metric) -> list[Compared]:
    """Return one line per name, over its seeds, in the order of first appearance; compared by the headline metric."""
    compared = []
    for name, architecture_id in dict.fromkeys((role.name, role.architecture_id) for role in roles):
        mine = [role for role in roles if (role.name, role.architecture_id) == (name, architecture_id)]
        records = [(role.seed, store.evaluation(role.evaluation)) for role in mine if role.evaluation is not None]
        failure = "; ".join(f"{role.failure}: {role.message}" for role in mine if role.failure)
        if records or failure:
            compared.append(_compared(name, architecture_id, records, headline, failure))
    return compared


def against(leader: Compared | None, others: Sequence[Compared], power: Power | None) -> list[Compared]:
    """Return the others, each with the leader's distance to it and whether that is resolved."""
    if leader is None or power is None or not leader.trained:
        return list(others)
    ours = dict(zip(leader.seeds, leader.compared, strict=True))
    beside = sum(other.trained for other in others)
    return [
        replace(other, behind=difference(power, ours, dict(zip(other.seeds, other.compared, strict=True)), beside))
        if other.trained
        else other
        for other in others
    ]


def over_splits(final: Compared, power: Power | None) -> Compared:
    """Return a final network with what it says over splits; as it is where the data is divided once."""
    if power is None or power.splits is None or not final.trained:
        return final
    by_seed = dict(zip(final.seeds, final.compared, strict=True))
    means = power.splits.means(by_seed)
    return replace(final, over_splits=OverSplits(len(means), mean_margin(power, by_seed), means.get(0)))


def others_of(candidate: Compared) -> tuple[Metric, ...]:
    """Return the metrics that views show beside the headline metric: top-5 beside top-1."""
    return tuple(
        METRICS[name]
        for name in candidate.values
        if METRICS[name].beside_headline and METRICS[name] is not candidate.headline
    )


def explained(candidates: Sequence[Compared]) -> tuple[str, ...]:
    """Return what a reader of a comparison needs to know, a line each."""
    return legend([candidate.behind for candidate in candidates if candidate.behind is not None])


def _compared(
    name: str, architecture_id: str, records: Sequence[tuple[int, Evaluation]], headline: Metric, failure: str = ""
) -> Compared:
    last = [record.last.values for _, record in records]
    names = set.intersection(*map(set, last)) if last else set()
    classes = [record.last.of_classes for _, record in records]
    known = [name for name in classes[0] if all(name in of_one for of_one in classes)] if classes else []
    return Compared(
        name=name,
        architecture_id=architecture_id,
        seeds=tuple(seed for seed, _ in records),
        headline=headline,
        values={name: tuple(values[name] for values in last) for name in METRICS if name in names},
        failure=failure,
        of_classes={name: tuple(of_one[name] for of_one in classes) for name in known},
    )


def _fidelity(study: Study, store: Store, name: str, roles: Sequence[Role], power: Power | None) -> FidelityStanding:
    trials = tuple(store.trials(study.name, name))
    level = next(f for f in study.fidelities if f.name == name)
    headline = headline_at(study, level)
    leader = None
    if any(trial.state is State.COMPLETE for trial in trials):
        best = winner_of(study, store, name, trials)
        stored = store.evaluations(t.evaluation for t in best.trials if t.evaluation is not None)
        records = [(t.seed, stored[t.evaluation]) for t in best.trials if t.evaluation is not None]
        leader = _compared(f"trial {best.trials[0].number}", best.architecture.id, records, headline)
        leader = replace(leader, label=best.trials[0].label)
    baselines = compare(store, [r for r in roles if r.role == "baseline" and r.fidelity == name], headline)
    return FidelityStanding(
        name=name,
        objectives=objectives_at(study, level),
        score=level.score,
        race=race_at(study, store, level),
        trials=trials,
        counts=dict(Counter(trial.state for trial in trials)),
        leader=leader,
        baselines=tuple(against(leader, baselines, power)),
        power=power,
        suspended=tuple(t.number for t in trials if t.state in (State.RUNNING, State.WAITING)),
    )
