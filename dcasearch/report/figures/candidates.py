"""Candidates and rows, each with its seeds and its mean."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.standing import Standing
from dcasearch.analysis.table import Table
from dcasearch.analysis.words import tested_on
from dcasearch.metrics import Metric
from dcasearch.report.figures.canvas import Figure, canvas, finished, in_units, short
from dcasearch.report.figures.theme import BLUE, ORANGE

_Line = tuple[str, Sequence[float], str]
"""A name, one value per seed, and the colour."""
_LONG = 34
"""Characters of a name that fit beside the axes."""


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the rows of a list, and the chosen network beside its baselines."""
    if standing.table is not None:
        yield from _rows(standing.table)
    last = standing.fidelities[-1]
    candidates = list(standing.finals) or [*([last.leader] if last.leader else []), *last.baselines]
    candidates = [candidate for candidate in candidates if candidate.trained]
    if len(candidates) < 2 or (standing.table is not None and not standing.finals):  # `_rows` shows them
        return
    lines = [(c.shown, c.compared, ORANGE if place else BLUE) for place, c in enumerate(candidates)]
    where = f"final trainings, {tested_on(standing.final_power)}"
    if not standing.finals:
        where = f"{last.name}, on the held-out images"
    text = f"Each dot is a seed, each bar a mean; {where}. Blue: the chosen one. The tables say what counts."
    yield _figure("candidates", "The candidate and its baselines", text, candidates[0].headline, lines)


def _rows(table: Table) -> Iterator[Figure]:
    rows = [row for row in table.rows if table.headline.name in row.values]
    if len(rows) < 2:
        return
    lines = [
        (
            row.row.label,
            list(row.values[table.headline.name].values()),
            BLUE if row.row.role == "connected" else ORANGE,
        )
        for row in rows
    ]
    text = "Each dot is a seed, each bar a mean; connected rows are blue. The table says which differences count."
    yield _figure("rows", "The rows", text, table.headline, lines)


def _figure(name: str, title: str, caption: str, metric: Metric, lines: Sequence[_Line]) -> Figure:
    drawn, [axes] = canvas(0.75 + 0.3 * len(lines))
    for place, (_, values, colour) in enumerate(lines):
        axes.plot(values, [place] * len(values), "o", markersize=5.5, color=colour, alpha=0.55, markeredgewidth=0)
        axes.plot([statistics.fmean(values)] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.5)
    axes.set_yticks(range(len(lines)), [short(label, _LONG) for label, _, _ in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    in_units(axes.xaxis, metric.name)
    return finished(name, title, caption, drawn, "found")
