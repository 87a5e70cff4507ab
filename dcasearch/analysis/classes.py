"""The headline metric of each class, of the networks that lead a study. Reads a standing, computes means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from dcasearch.analysis.standing import Compared, Standing
from dcasearch.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class ClassTable:
    """One row a class, one column a network. The worst class of the last column is the first row."""

    metric: Metric
    networks: tuple[str, ...]
    """What each column is of, in words."""
    columns: tuple[str, ...]
    """Head of each column, e.g. `AP %, final`."""
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """A class and its mean over the seeds in each column; None where the class is not measured there."""

    @property
    def says(self) -> str:
        """What each column is of, in sentences."""
        return " ".join(f"{network}." for network in self.networks)

    @property
    def title(self) -> str:
        """What the table shows."""
        return f"{self.metric.label} of each class, the worst class first"

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text."""
        return [(name, *(_cell(value, self.metric) for value in values)) for name, values in self.rows]

    def ends(self, each: int, most: int) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], int]:
        """Return the worst rows and the best rows as text, and how many rows between them are left out.

        Args:
            each: how many of the worst, and how many of the best, where there are more than `most`.
            most: so many rows are all shown, as the worst ones.
        """
        cells = self.cells()
        if len(cells) <= most:
            return cells, [], 0
        return cells[:each], cells[-each:], len(cells) - 2 * each


def class_table_of(standing: Standing) -> ClassTable | None:
    """Return the classes of the last fidelity's leader and of the final winner; None where no class is measured.

    A fidelity whose leader has no classes is passed over, for the one before it.
    """
    shown = list(_shown(standing))
    if not shown:
        return None
    metric = shown[-1][1].headline
    means = [{name: statistics.fmean(values) for name, values in of.of_classes.items()} for _, of in shown]
    names = sorted({name for of_one in means for name in of_one})
    rows = [(name, tuple(of_one.get(name) for of_one in means)) for name in names]
    known = sorted((row for row in rows if row[1][-1] is not None), key=lambda row: metric.sign * (row[1][-1] or 0.0))
    return ClassTable(
        metric=metric,
        networks=tuple(_words(where, of) for where, of in shown),
        columns=tuple(f"{metric.heading}, {where}" for where, _ in shown),
        rows=(*known, *(row for row in rows if row[1][-1] is None)),
    )


def _shown(standing: Standing) -> Iterator[tuple[str, Compared]]:
    """Yield the networks whose classes are shown, each with where it was trained."""
    leaders = [(f.name, f.leader) for f in standing.fidelities if f.leader is not None and f.leader.of_classes]
    yield from leaders[-1:]
    if standing.finals and standing.finals[0].name == "winner" and standing.finals[0].of_classes:
        yield "final", standing.finals[0]


def _words(where: str, network: Compared) -> str:
    seeds = f"mean of {len(network.seeds)} seeds" if len(network.seeds) > 1 else "one seed"
    return f"{where}: {network.shown}, {seeds}{', on the test split' if network.name == 'winner' else ''}"


def _cell(value: float | None, metric: Metric) -> str:
    return "" if value is None else f"{value:{metric.digits}}"
