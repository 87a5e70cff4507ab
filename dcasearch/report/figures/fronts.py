"""The Pareto front with its noise band, and the hypervolume over the trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.fronts import Front, FrontPoint
from dcasearch.analysis.hypervolume import Growth
from dcasearch.analysis.standing import Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import Figure, canvas, dots, finished, in_units, legend, shown, title_of
from dcasearch.report.figures.theme import BLUE, GREEN, GREY, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield both figures of a study with several objectives."""
    if findings.fronts:
        winner = standing.winner if standing.table is None else None  # among the rows of a list nobody is chosen
        chosen = None if winner is None else winner.architecture.id
        yield _pareto(findings.fronts, chosen)
    if findings.growths:
        yield _hypervolume(max(findings.growths, key=lambda growth: len(growth.numbers)))


def _pareto(fronts: Sequence[Front], chosen: str | None) -> Figure:
    drawn, panels = canvas(3.3, len(fronts))
    for axes, front in zip(panels, fronts, strict=True):
        _draw(axes, front, chosen)
    legend(drawn, 2)
    return finished("pareto", "Pareto front", _caption(fronts), drawn, "found")


def _draw(axes: Axes, front: Front, chosen: str | None) -> None:
    y, x, *further = front.objectives
    behind = [point for point in front.points if not point.on_front]
    for near, colour, label in ((False, GREY, "another network"), (True, YELLOW, "within the front's noise")):
        some = [point for point in behind if point.in_band is near]
        if some:
            dots(axes, [p.values[1] for p in some], [p.values[0] for p in some], colour, label, zorder=3)
    best = front.front
    axes.plot(
        [p.values[1] for p in best],
        [p.values[0] for p in best],
        "o",
        color=GREEN,
        markersize=5.5,
        label="on the Pareto front",
        zorder=4,
    )
    at = [p for p in front.points if p.architecture_id == chosen]
    if at:
        ring: dict[str, Any] = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.6}
        axes.plot([at[0].values[1]], [at[0].values[0]], "o", color=BLUE, label="the chosen network", zorder=5, **ring)
    if not further:
        _line(axes, front, best)
    title_of(axes, front.fidelity)
    in_units(axes.xaxis, x)
    in_units(axes.yaxis, y)
    axes.locator_params(axis="x", nbins=5)


def _line(axes: Axes, front: Front, best: Sequence[FrontPoint]) -> None:
    """Draw what the front attains as steps, and the band behind it in which a network may be as good."""
    (_, y_way), (_, x_way) = front.objectives.items()
    axes.margins(x=0.06, y=0.08)
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    margins = front.margins or [0.0] * len(best)
    order = sorted(zip(best, margins, strict=True), key=lambda pair: pair[0].values[1], reverse=x_way == "maximize")
    end = low if x_way == "maximize" else high
    xs, ys, edges = [], [], []
    for n, (point, margin) in enumerate(order):
        until = order[n + 1][0].values[1] if n + 1 < len(order) else end
        edge = point.values[0] + (margin if y_way == "minimize" else -margin)
        xs += [point.values[1], until]
        ys += [point.values[0]] * 2
        edges += [edge] * 2
    axes.plot(xs, ys, color=GREEN, linewidth=1.4, zorder=2)
    if front.margins is not None:
        axes.fill_between(xs, edges, ys, color=GREEN, alpha=0.13, linewidth=0, zorder=1, label="noise band")
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)  # a band may be much wider than what the networks differ by


def _caption(fronts: Sequence[Front]) -> str:
    front = fronts[-1]
    first = METRICS[next(iter(front.objectives))]
    said = f"Each dot is a network, a mean over its seeds ({front.seeds} at {front.fidelity}). "
    if len(front.objectives) > 2:
        said += "The first two objectives are drawn; a network may be on the front by another one. "
    if front.margins is None:
        said += f"The noise of {first.label} is not known, so the front has no band."
    else:
        said += (
            f"Band: a network in it is not told apart from the front in {first.label}, 95%, one comparison at a time"
            f" (at {front.fidelity} {first.amount(max(front.margins))})."
        )
        if not front.seeds_known:
            said += " It holds the choice of images alone: the noise between seeds is not known yet."
    return said


def _hypervolume(growth: Growth) -> Figure:
    drawn, [axes] = canvas(2.9)
    axes.step(growth.numbers, [100 * share for share in growth.shares], where="post", color=BLUE, linewidth=2)
    axes.set_xlabel("trial")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel("hypervolume (%)")
    axes.set_ylim(0, 104)
    worst = ", ".join(shown(m, v) for m, v in zip(growth.objectives, growth.reference, strict=True))
    best = ", ".join(shown(m, v) for m, v in zip(growth.objectives, growth.ideal, strict=True))
    text = (
        f"Fidelity {growth.fidelity}: how much of the box between the worst and the best values of its complete trials"
        f" the networks so far dominate. Reference point, the worst: {worst}; the best of each: {best}. A flat end says"
        " that the search finds nothing better any more. Single seeds, so a step may be noise."
    )
    return finished("hypervolume", "Hypervolume over the trials", text, drawn, "search")
