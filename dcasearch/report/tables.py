"""The tables of a report, as text: comparisons, the ledger, what can be told apart, races, proxies, time."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from dcasearch.analysis import races
from dcasearch.analysis.asked import short
from dcasearch.analysis.networks import TrainedNetworks
from dcasearch.analysis.power import Power
from dcasearch.analysis.spending import PURPOSES, Spending
from dcasearch.analysis.standing import Compared, FidelityStanding, others_of
from dcasearch.analysis.story import duration
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.analysis.words import OVER_SPLITS, counts, in_numbers, over_splits
from dcasearch.analysis.words import cells as cells_of_power
from dcasearch.report.cells import Cells
from dcasearch.search.racing import RaceStanding
from dcasearch.trial import State

SHORT_ID = 8
"""Digits of an id that a table shows."""


def comparison(candidates: Sequence[Compared], costs: Mapping[str, Mapping[str, float]]) -> Cells:
    """Return networks side by side; the first one is what the others are compared with.

    Args:
        candidates: At least one.
        costs: `params` and `macs` by architecture id, where they are known.
    """
    first, known = candidates[0], next((c for c in candidates if c.compared), candidates[0])
    others = others_of(known)
    repeated = OVER_SPLITS if any(candidate.over_splits is not None for candidate in candidates) else ()
    several = any(len(candidate.compared) > 1 for candidate in candidates)
    spread = f" (± spread of {'splits' if repeated else 'seeds'})" if several else ""
    columns = (
        *("network", f"{first.headline.heading}{spread}"),
        *(metric.heading for metric in others),
        *repeated,
        *("seeds (which)", f"lead of {first.shown}", "does it count?", "parameters", "multiply-adds", "id"),
    )
    place = 2 + len(others) + len(repeated)
    rows = tuple(_compared(candidate, first, len(others), len(repeated), costs) for candidate in candidates)
    return Cells(columns, rows, (0, place, place + 2, len(columns) - 1), first_leads=True)


def _compared(
    candidate: Compared, first: Compared, others: int, repeated: int, costs: Mapping[str, Mapping[str, float]]
) -> tuple[str, ...]:
    values, digits = candidate.compared, candidate.headline.digits
    cost = costs.get(candidate.architecture_id, {})
    tail = (*(short(cost[name]) if name in cost else "" for name in ("params", "macs")),)
    id = candidate.architecture_id[:SHORT_ID]
    if not values:
        return (candidate.shown, "failed", *[""] * (others + repeated), "", "", candidate.failure, *tail, id)
    spread = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
    lead = in_numbers(candidate.behind)
    if candidate.scored and candidate is not first and first.compared:
        lead = f"{first.ahead_of(candidate):+{digits}}"
    return (
        candidate.shown,
        f"{candidate.mean:{digits}}{spread}",
        *(f"{statistics.fmean(candidate.values[metric.name]):{metric.digits}}" for metric in others_of(candidate)),
        *over_splits(candidate)[:repeated],
        _seeds(candidate.seeds),
        lead,
        counts(candidate.behind),
        *tail,
        id,
    )


def _seeds(seeds: Sequence[int]) -> str:
    """Return how many seeds and which, e.g. `1 (1000)`, since a lone `1000` reads as a count."""
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{len(seeds)} ({f'{seeds[0]}–{seeds[-1]}' if in_a_row else ', '.join(map(str, seeds))})"


def ledger(fidelities: Iterable[FidelityStanding]) -> Cells:
    """Return how many trials of each fidelity are in which state; states that no trial is in are left out."""
    begun = [fidelity for fidelity in fidelities if fidelity.trials]
    states = [state for state in State if any(fidelity.counts.get(state) for fidelity in begun)]
    rows = [(f.name, str(len(f.trials)), *(str(f.counts.get(state, 0)) for state in states)) for f in begun]
    return Cells(("fidelity", "trials", *map(str, states)), tuple(rows), (0,))


def told_apart(powers: Iterable[Power]) -> Cells:
    """Return what two networks must differ by, at each fidelity and in the end."""
    columns = ("", "images", "seeds", "noise between seeds", "a lead counts from", "found in 80% from", "noise from")
    names = ("name", "images", "seeds", "noise", "observed", "true", "noise_from")
    rows = tuple(tuple(row[name] for name in names) for row in map(cells_of_power, powers))
    return Cells(columns, rows, (0, 6))


def race_table(race: RaceStanding) -> Cells:
    """Return the candidates of a race."""
    rows = tuple(
        (row.name, row.value, row.seeds, row.behind, row.standing, row.architecture[:SHORT_ID])
        for row in races.rows(race)
    )
    return Cells(races.columns(race), rows, (0, 4, 5), first_leads=True)


def trust_table(trust: Iterable[Trust]) -> Cells:
    """Return how well each cheaper number predicts the dearer one."""
    columns = ("predictor", "what it predicts", "networks", "drawn at random", "Kendall τ", "Spearman ρ")
    return Cells(columns, tuple(_trusted(entry) for entry in trust), (0, 1))


def _trusted(entry: Trust) -> tuple[str, ...]:
    predictor = f"{entry.fidelity}, {entry.predictor.replace('rung', 'after epoch')}"
    against = f"{entry.against}, its value" if entry.against != entry.fidelity else f"{entry.against}, at its end"
    return (predictor, against, str(entry.n), str(entry.drawn), *_correlations(entry.correlation))


def _correlations(found: Correlation | None) -> tuple[str, str]:
    if found is None:
        return "not estimable", ""
    return _interval(found.tau, found.tau_interval), _interval(found.rho, found.rho_interval)


def _interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"


def time_spent(spending: Spending, fidelities: Iterable[str]) -> Cells:
    """Return by fidelity and purpose how many trainings there were, what they took, and what one took."""
    rows: list[tuple[str, ...]] = []
    for fidelity in fidelities:
        for purpose in PURPOSES:
            seconds = [t.seconds for t in spending.trainings if (t.fidelity, t.purpose) == (fidelity, purpose)]
            if seconds:
                each = duration(statistics.fmean(seconds))
                rows.append((fidelity, purpose, str(len(seconds)), duration(sum(seconds)), each))
    for lost in spending.lost:
        took = "not known" if lost.seconds is None else f"about {duration(lost.seconds)}"
        rows.append((lost.fidelity, "lost to failed trials", str(lost.trials), took, ""))
    return Cells(("fidelity", "for", "trainings", "time of one worker", "each"), tuple(rows), (0, 1))


def costs_of(networks: Iterable[TrainedNetworks]) -> dict[str, Mapping[str, float]]:
    """Return parameters and multiply-adds by architecture id."""
    return {network.architecture_id: network.costs for trained in networks for network in trained.networks}
