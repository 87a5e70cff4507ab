"""The story of a study whose space is a list: it chooses no network, it compares rows."""

from __future__ import annotations

import statistics
from collections import Counter

from dcasearch.analysis.answers import Story, duration
from dcasearch.analysis.asked import asked_of, short
from dcasearch.analysis.next_step import next_step
from dcasearch.analysis.standing import Standing
from dcasearch.analysis.table import Table, TableRow
from dcasearch.analysis.words import in_numbers, verdict
from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.store import Store


def story_of_list(store: Store, standing: Standing, table: Table) -> Story:
    """Return what the rows of a list say: told by the row of the highest mean and by counts of verdicts."""
    trained = [row for row in table.rows if row.values.get(table.headline.name)]
    power = standing.fidelities[-1].power
    if not trained:
        nothing = "Not known yet."
        return Story(
            asked=asked_of(standing.study),
            found=f"No network is chosen: {len(table.rows)} are compared. None is trained yet.",
            differs=nothing,
            better=nothing,
            sure=nothing,
            cost=_cost(standing),
            next=next_step(store, standing, None, power),
        )
    best = max(trained, key=lambda row: table.headline.sign * _mean(table, row))
    compared = [row for row in table.rows if row.difference is not None]
    doubtful = next((row.difference for row in compared if row.difference and not row.difference.resolved), None)
    return Story(
        asked=asked_of(standing.study),
        found=(
            f"No network is chosen: {len(table.rows)} are compared. The highest mean has {best.row.label}: "
            f"{sentence_of(best.row.architecture.network)}; {table.headline.shown(_mean(table, best))}."
        ),
        differs=_differs(table, best),
        better=_better(table, compared),
        sure=_sure(table, compared),
        cost=f"{_cost(standing)} {best.row.label}: {short(best.params)} parameters, {short(best.macs)} multiply-adds.",
        next=next_step(store, standing, doubtful, power),
    )


def _mean(table: Table, row: TableRow) -> float:
    return statistics.fmean(row.values[table.headline.name].values())


def _differs(table: Table, best: TableRow) -> str:
    """Return how the row of the highest mean differs from the row that it is compared with."""
    other = next((row for row in table.rows if row.row.label == best.against), None)
    if other is None:
        return f"{best.row.label} is compared with no other row."
    differs = difference_of(best.row.architecture.network, other.row.architecture.network)
    return f"{best.row.label} against {other.row.label}: {differs}."


def _better(table: Table, compared: list[TableRow]) -> str:
    if not compared:
        return "Not known: no row has another one to be compared with."
    words = Counter(verdict(row.difference, table.headline) for row in compared)
    better = [row.row.label for row in compared if verdict(row.difference, table.headline) == "better"]
    named = f" ({', '.join(better)})" if better else ""
    rest = ", ".join(f"{count} {word}" for word, count in words.items() if word != "better")
    told = f"{len(better)} of {len(compared)} rows: better than the row that each is compared with{named}."
    return f"{told} The others: {rest}." if rest else told


def _sure(table: Table, compared: list[TableRow]) -> str:
    seeds = sorted({len(row.values[table.headline.name]) for row in table.rows if row.values})
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    said = f"{count} seed{'s' * (count != '1')} of each row."
    closest = [row for row in compared if row.difference is not None and row.difference.margin is not None]
    if closest:
        unit = table.headline.unit_of_differences
        shown = [
            f"{row.row.label} − {row.against}: {in_numbers(row.difference)} {unit}".rstrip() for row in closest[:2]
        ]
        said += f" Each difference has a 95% margin, e.g. {'; '.join(shown)}."
    return said


def _cost(standing: Standing) -> str:
    trials = sum(len(fidelity.trials) for fidelity in standing.fidelities)
    return f"{duration(standing.seconds)} of one worker: {trials:,} trainings."
