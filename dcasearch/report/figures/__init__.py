"""The figures of a report, drawn from a standing; each is the same to the byte when drawn again."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.metrics import METRICS, Direction
from dcasearch.search.objectives import losses, pareto_ranks
from dcasearch.trial import State, Trial

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

BLUE, ORANGE, GREEN, GREY = "#1d4ed8", "#c2410c", "#15803d", "#9ca3af"
STATES: Mapping[State, str] = {
    State.COMPLETE: "#15803d",
    State.PRUNED: "#ca8a04",
    State.INFEASIBLE: "#9ca3af",
    State.DUPLICATE: "#d1d5db",
    State.FAILED: "#b91c1c",
    State.RUNNING: "#1d4ed8",
    State.WAITING: "#93c5fd",
}
_PALE = (State.INFEASIBLE, State.DUPLICATE, State.WAITING)
"""States on whose colour white is not readable."""
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "dcasearch",
}
"""Of every figure of the package."""


Part: TypeAlias = Literal["found", "search", "trust", "cost"]
"""Where a page puts a figure: what was found, how the search went, how far numbers can be trusted, what it cost."""


@dataclass(frozen=True)
class Figure:
    """One figure in both its forms."""

    name: str
    """Of its files."""
    title: str
    caption: str
    """What is seen, and how it is to be read."""
    svg: str
    png: bytes
    part: Part = "found"


def figures_of(standing: Standing) -> Iterator[Figure]:
    """Yield the figures that a study has enough for."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        for draw in (_rows, _best_so_far, _against_the_next, _ledger, _candidates, _costs):
            yield from draw(standing)


def _canvas(width: float, height: float, panels: int = 1) -> tuple[Canvas, list[Axes]]:
    # Not pyplot, which keeps every figure and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, panels, n + 1) for n in range(panels)]


def _figure(name: str, title: str, caption: str, canvas: Canvas, part: Part = "found") -> Figure:
    svg, png = io.StringIO(), io.BytesIO()
    canvas.savefig(svg, format="svg", metadata={"Date": None})
    canvas.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return Figure(name, title, caption, svg.getvalue(), png.getvalue(), part)


def _complete(fidelity: FidelityStanding) -> list[Trial]:
    return [trial for trial in fidelity.trials if trial.state is State.COMPLETE and trial.values]


def _first(fidelity: FidelityStanding) -> tuple[str, Direction]:
    return next(iter(fidelity.objectives.items()))


def _value(trial: Trial) -> float:
    return (trial.values or (float("nan"),))[0]


def _best_so_far(standing: Standing) -> Iterator[Figure]:
    fidelity = standing.fidelities[0]
    complete = _complete(fidelity)
    if len(complete) < 2 or standing.table is not None:  # nobody looks for a leader among the rows of a table
        return
    metric, direction = _first(fidelity)
    better = max if direction == "maximize" else min
    values = [_value(trial) for trial in complete]
    best = [better(values[: n + 1]) for n in range(len(values))]
    canvas, [axes] = _canvas(7.2, 3.6)
    axes.scatter([t.number for t in complete], values, s=18, color=GREY, label="a complete trial", zorder=2)
    axes.step([t.number for t in complete], best, where="post", color=BLUE, linewidth=2, label="the leader so far")
    if any(baseline.headline.name == metric for baseline in fidelity.baselines):
        _lines(axes, direction, fidelity.baselines)
    axes.set_xlabel("trial")
    axes.set_ylabel(METRICS[metric].axis)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    text = (
        f"At the first fidelity, {fidelity.name}; one seed each, so no step is told from noise. Without pruned trials."
    )
    yield _figure("best_so_far", "The leader so far", text, canvas, "search")


def _lines(axes: Axes, direction: Direction, baselines: Sequence[Compared]) -> None:
    """Draw the plain backbone and the best baseline; more lines than that are not told apart."""
    known = {baseline.name: baseline.mean for baseline in baselines if baseline.seeds}
    best = (max if direction == "maximize" else min)(known, key=lambda name: known[name], default=None)
    names = [name for name in dict.fromkeys((best, "plain")) if name is not None and name in known]
    for name, dashes in zip(names, ("--", ":"), strict=False):
        axes.axhline(known[name], color=ORANGE, linewidth=1.4, linestyle=dashes, label=name)


def _against_the_next(standing: Standing) -> Iterator[Figure]:
    pairs = [
        (before, after, points)
        for before, after in zip(standing.fidelities, standing.fidelities[1:], strict=False)
        if len(points := _promoted(before, after)) >= 2
    ]
    if not pairs:
        return
    canvas, panels = _canvas(4.6 * len(pairs) + 0.4, 4.0, len(pairs))
    for axes, (before, after, points) in zip(panels, pairs, strict=True):
        for random, colour, marker, label in (
            (False, BLUE, "o", "promoted, among the best"),
            (True, ORANGE, "s", "promoted at random"),
        ):
            chosen = [(x, y) for x, y, drawn in points if drawn is random]
            if chosen:
                xs, ys = zip(*chosen, strict=True)
                axes.scatter(xs, ys, s=26, color=colour, marker=marker, label=label)
        axes.set_xlabel(f"{before.name}: {METRICS[_first(before)[0]].axis}")
        axes.set_ylabel(f"{after.name}: {METRICS[_first(after)[0]].axis}")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.18), fontsize=9)
    text = (
        "Each promoted network that was not pruned: at the fidelity that chose it and the next (mean over seeds). "
        "Only those promoted at random say what the choice was worth: the others were chosen for being high."
    )
    yield _figure("proxy_against_full", "What a fidelity says of the next", text, canvas, "trust")


def _promoted(before: FidelityStanding, after: FidelityStanding) -> list[tuple[float, float, bool]]:
    """Return (value before, mean value after, whether drawn at random) of each promoted trial."""
    sources = {trial.number: trial for trial in _complete(before)}
    reached: dict[int, list[Trial]] = {}
    for trial in _complete(after):
        if (of := trial.attributes.get("of")) in sources:
            reached.setdefault(int(str(of)), []).append(trial)
    return [
        (_value(sources[of]), statistics.fmean(map(_value, trials)), trials[0].origin == "promoted_random")
        for of, trials in reached.items()
    ]


def _ledger(standing: Standing) -> Iterator[Figure]:
    begun = [fidelity for fidelity in standing.fidelities if fidelity.trials]
    if not begun:
        return
    canvas, [axes] = _canvas(7.2, 0.9 + 0.5 * len(begun))
    left = [0] * len(begun)
    names = [fidelity.name for fidelity in begun]
    for state, colour in STATES.items():
        counts = [fidelity.counts.get(state, 0) for fidelity in begun]
        if any(counts):
            bars = axes.barh(names, counts, left=left, color=colour, label=str(state), height=0.6)
            ink = "#374151" if state in _PALE else "white"
            axes.bar_label(bars, [str(c) if c else "" for c in counts], label_type="center", fontsize=8, color=ink)
            left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("trials")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    text = "What became of every trial. Infeasible and duplicate ones were not trained and cost nothing."
    yield _figure("ledger", "The ledger", text, canvas, "search")


def _rows(standing: Standing) -> Iterator[Figure]:
    table = standing.table
    rows = [] if table is None else [row for row in table.rows if table.headline.name in row.values]
    if table is None or len(rows) < 2:
        return
    canvas, [axes] = _canvas(7.2, 1.0 + 0.34 * len(rows))
    for place, row in enumerate(rows):
        values = list(row.values[table.headline.name].values())
        colour = BLUE if row.row.role == "connected" else ORANGE
        axes.scatter(values, [place] * len(values), s=26, color=colour, alpha=0.55, linewidths=0)
        axes.plot([statistics.fmean(values)] * 2, [place - 0.28, place + 0.28], color=colour, linewidth=2.5)
    axes.set_yticks(range(len(rows)), [row.row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(table.headline.axis)
    text = "Each dot a seed, each bar a mean; connected rows in blue. The table says which differences are resolved."
    yield _figure("rows", "The rows", text, canvas)


def _candidates(standing: Standing) -> Iterator[Figure]:
    last = standing.fidelities[-1]
    candidates = list(standing.finals) or [*([last.leader] if last.leader else []), *last.baselines]
    candidates = [candidate for candidate in candidates if candidate.trained]
    if len(candidates) < 2 or (standing.table is not None and not standing.finals):  # `_rows` shows them
        return
    canvas, [axes] = _canvas(7.2, 1.0 + 0.38 * len(candidates))
    for place, candidate in enumerate(candidates):
        colour = BLUE if place == 0 else ORANGE
        axes.scatter(candidate.compared, [place] * len(candidate.seeds), s=30, color=colour, alpha=0.55, linewidths=0)
        axes.plot([candidate.mean] * 2, [place - 0.28, place + 0.28], color=colour, linewidth=2.5)
    axes.set_yticks(range(len(candidates)), [candidate.shown for candidate in candidates])
    axes.set_ylim(len(candidates) - 0.5, -0.5)
    axes.set_xlabel(candidates[0].headline.axis)
    where = "final trainings, on the test split" if standing.finals else f"{last.name}, on the held-out images"
    text = f"Each dot a seed, each bar a mean; {where}. What is told apart is said by the tables."
    yield _figure("candidates", "The candidate and its baselines", text, canvas)


def _costs(standing: Standing) -> Iterator[Figure]:
    if len(standing.study.objectives) < 2:
        return
    shown = [fidelity for fidelity in standing.fidelities if len(_complete(fidelity)) >= 2]
    if not shown:
        return
    canvas, panels = _canvas(4.6 * len(shown) + 0.4, 4.0, len(shown))
    for axes, fidelity in zip(panels, shown, strict=True):
        (y, _), (x, _), *_ = fidelity.objectives.items()
        values = _means(fidelity)
        ranks = pareto_ranks([losses(fidelity.objectives, value) for value in values])
        front = sorted((v[1], v[0]) for v, rank in zip(values, ranks, strict=True) if rank == 0)
        axes.scatter([v[1] for v in values], [v[0] for v in values], s=20, color=GREY, label="a network")
        xs, ys = zip(*front, strict=True)
        axes.plot(xs, ys, "o-", color=GREEN, markersize=5, linewidth=1.4, label="Pareto front")
        axes.set_xlabel(METRICS[x].axis)
        axes.set_ylabel(METRICS[y].axis)
        axes.set_title(fidelity.name, loc="left", fontsize=10, fontweight="bold", pad=36)
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.18), fontsize=9)
        axes.xaxis.set_major_formatter(_engineering() if x in ("params", "macs") else axes.xaxis.get_major_formatter())
        axes.yaxis.set_major_formatter(_engineering() if y in ("params", "macs") else axes.yaxis.get_major_formatter())
        axes.locator_params(axis="x", nbins=5)
    text = "The first two objectives, of each network the mean over its seeds. Who is on the front may be so by noise."
    yield _figure("pareto", "Objectives against each other", text, canvas)


def _means(fidelity: FidelityStanding) -> list[tuple[float, ...]]:
    """Return the values of each network over the seeds that most have, so that no lucky seed makes a front.

    Who left a race early is shown over the seeds it has.
    """
    values: dict[str, list[tuple[float, ...]]] = {}
    for trial in _complete(fidelity):
        values.setdefault(trial.architecture_id, []).append(trial.values or ())
    needed = max(map(len, values.values())) if fidelity.race is None else max(1, min(2, fidelity.race.looked))
    whole = (of_network for of_network in values.values() if len(of_network) >= needed)
    return [tuple(map(statistics.fmean, zip(*of_network, strict=True))) for of_network in whole]


def _engineering() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
