"""The best value so far, trial by trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.networks import complete_trials
from dcasearch.analysis.standing import Compared, Standing
from dcasearch.metrics import Direction
from dcasearch.report.figures.canvas import Figure, canvas, dots, finished, in_units, legend
from dcasearch.report.figures.theme import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the figure where two trials are complete; among the rows of a list nobody looks for a leader."""
    fidelity = standing.fidelities[0]
    complete = complete_trials(fidelity)
    if len(complete) < 2 or standing.table is not None:
        return
    metric, direction = next(iter(fidelity.objectives.items()))
    better = max if direction == "maximize" else min
    values = [(trial.values or ())[0] for trial in complete]
    best = [values[0]]
    for value in values[1:]:
        best.append(better(best[-1], value))
    drawn, [axes] = canvas(3.2)
    numbers = [trial.number for trial in complete]
    dots(axes, numbers, values, GREY, "a complete trial", zorder=2)
    axes.step(numbers, best, where="post", color=BLUE, linewidth=2, label="the leader so far")
    if any(baseline.headline.name == metric for baseline in fidelity.baselines):
        _lines(axes, direction, fidelity.baselines)
    axes.set_xlabel("trial")
    axes.locator_params(axis="x", integer=True)
    in_units(axes.yaxis, metric)
    legend(drawn, 2)
    text = (
        f"Fidelity {fidelity.name}, one seed each, without pruned trials: no step is told from noise."
        " Lines are the plain network and the best baseline."
    )
    yield finished("best_so_far", "The leader so far", text, drawn, "search")


def _lines(axes: Axes, direction: Direction, baselines: Sequence[Compared]) -> None:
    """Draw the plain backbone and the best baseline; more lines than that are not told apart."""
    known = {baseline.name: baseline.mean for baseline in baselines if baseline.seeds}
    best = (max if direction == "maximize" else min)(known, key=lambda name: known[name], default=None)
    names = [name for name in dict.fromkeys((best, "plain")) if name is not None and name in known]
    for name, dashes in zip(names, ("--", ":"), strict=False):
        axes.axhline(known[name], color=ORANGE, linewidth=1.4, linestyle=dashes, label=name)
