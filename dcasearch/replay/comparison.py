"""What searchers cost and find on a table, over many replays each, and how they compare."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import optuna
from numpy.typing import NDArray

from dcasearch.executors.worker import end_with_parent
from dcasearch.processes import without_secrets
from dcasearch.replay.executor import Step
from dcasearch.replay.searchers import Searcher
from dcasearch.replay.table import Table, reliability

AIM = 0.1
"""Mean scaled regret that is to be reached."""
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Result:
    """One searcher's replays."""

    name: str
    replays: tuple[tuple[tuple[float, float], ...], ...]
    """Of each, (seconds so far, scaled regret of what it would recommend then)."""
    regret: float
    """At the end, the mean over the replays."""
    seconds: float
    """Of a whole search, the mean over the replays."""
    to_aim: float | None
    """Seconds from which on the mean regret stays at most the aim; None where it does not."""


@dataclass(frozen=True)
class Ratio:
    """Cost of one searcher to the aim, divided by another cost; with a bootstrap interval over the replays."""

    against: str
    value: float | None
    interval: tuple[float, float] | None
    """None where fewer than nineteen of twenty resamples reach the aim on both sides."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Searchers on one table."""

    table: str
    aim: float
    """Mean scaled regret that is to be reached."""
    members: int
    truth_seeds: int
    reliability: float | None
    every: float
    """Seconds of training each architecture once, with one seed, at the truth's fidelity."""
    results: tuple[Result, ...]
    ratios: tuple[Ratio, ...]
    """Of the first searcher against `every`, and against each other one that trains."""


def compare(
    table: Table,
    searchers: Mapping[str, Searcher],
    replays: int,
    told: Callable[[str], None] = lambda name: None,
    processes: int = 1,
    aim: float = AIM,
) -> Comparison:
    """Replay each searcher with the seeds 0, 1, …; the first is compared with the others.

    Args:
        table: with at least one seed of its truth complete.
        searchers: by name; with several processes they are pickled.
        replays: of each.
        told: is told the name of each before its results are waited for.
        processes: that search at a time.
        aim: mean scaled regret that is to be reached.

    Raises:
        UserError: the table has not what a searcher asks for.
    """
    results = []
    with _searching(processes) as search:
        begun = {name: search(searcher, repeat(table), range(replays)) for name, searcher in searchers.items()}
        for name, searches in begun.items():
            told(name)
            results.append(_result(name, table, list(searches), aim))
    every, judged = cost_of_all(table), table.judged
    ratios = [_ratio(results[0], "training all of them", every, aim)]
    ratios += [_ratio(results[0], other.name, other, aim) for other in results[1:] if other.seconds > 0]
    return Comparison(
        table=table.head.name,
        aim=aim,
        members=len(table.members),
        truth_seeds=judged.shape[1],
        reliability=reliability(judged),
        every=every,
        results=tuple(results),
        ratios=tuple(ratios),
    )


@contextmanager
def _searching(processes: int) -> Iterator[Callable[..., Iterator[list[Step]]]]:
    if processes == 1:
        yield map
    else:
        spawned = multiprocessing.get_context("spawn")
        quiet = optuna.logging.get_verbosity()
        with without_secrets(None), ProcessPoolExecutor(processes, spawned, _begin, (quiet,)) as pool:
            yield pool.map


def _begin(verbosity: int) -> None:
    end_with_parent()
    optuna.logging.set_verbosity(verbosity)


def cost_of_all(table: Table) -> float:
    """Return the seconds of training each architecture once at the truth's fidelity, the mean over the seeds."""
    seconds = [sum(row.seconds) for (_, name, _), row in table.rows.items() if name == table.head.truth]
    return float(np.mean(seconds)) * len(table.members)


def _result(name: str, table: Table, searches: Sequence[Sequence[Step]], aim: float) -> Result:
    replays = tuple(tuple((step.seconds, table.regret(step.recommended)) for step in steps) for steps in searches)
    return Result(
        name,
        replays,
        regret=float(np.mean([replay[-1][1] for replay in replays])),
        seconds=float(np.mean([replay[-1][0] for replay in replays])),
        to_aim=to_aim(replays, aim),
    )


def mean_regret(
    replays: Sequence[Sequence[tuple[float, float]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the costs at which the mean regret changes and its values from there on.

    It begins where every replay has something to recommend; one that has ended keeps its last recommendation.
    """
    begin = max(replay[0][0] for replay in replays)
    at = np.unique([begin, *(s for replay in replays for s, _ in replay if s > begin)])
    columns = []
    for replay in replays:
        seconds, regret = np.array(replay).T
        columns.append(regret[np.searchsorted(seconds, at, side="right") - 1])
    return at, np.mean(columns, axis=0)


def to_aim(replays: Sequence[Sequence[tuple[float, float]]], aim: float = AIM) -> float | None:
    """Return the cost from which on the mean regret stays at most the aim, None where it ends above it."""
    at, regret = mean_regret(replays)
    above = np.flatnonzero(regret > aim)
    if not len(above):
        return float(at[0])
    return float(at[above[-1] + 1]) if above[-1] + 1 < len(at) else None


def _ratio(one: Result, name: str, other: Result | float, aim: float) -> Ratio:
    base = other if isinstance(other, float) else other.to_aim
    value = None if one.to_aim is None or not base else one.to_aim / base
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES if value is not None else 0):
        mine = to_aim(_resampled(one.replays, random), aim)
        theirs = other if isinstance(other, float) else to_aim(_resampled(other.replays, random), aim)
        if mine is not None and theirs:
            drawn.append(mine / theirs)
    if len(drawn) < CONFIDENCE * RESAMPLES:
        return Ratio(name, value, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Ratio(name, value, (float(low), float(high)))


def _resampled(
    replays: Sequence[Sequence[tuple[float, float]]], random: np.random.Generator
) -> list[Sequence[tuple[float, float]]]:
    return [replays[n] for n in random.integers(len(replays), size=len(replays))]
