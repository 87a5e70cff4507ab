"""What one fidelity says of the next."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.networks import complete_trials
from dcasearch.analysis.standing import FidelityStanding, Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import Figure, canvas, dots, finished, legend
from dcasearch.report.figures.theme import BLUE, ORANGE
from dcasearch.trial import Trial


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield a panel for each promotion of two trials or more."""
    steps = zip(standing.fidelities, standing.fidelities[1:], strict=False)
    pairs = [(before, after, points) for before, after in steps if len(points := promoted(before, after)) >= 2]
    if not pairs:
        return
    drawn, panels = canvas(3.4, len(pairs))
    for axes, (before, after, points) in zip(panels, pairs, strict=True):
        for random, colour, marker, label in (
            (False, BLUE, "o", "promoted, among the best"),
            (True, ORANGE, "s", "promoted at random"),
        ):
            chosen = [(x, y) for x, y, drawn_at_random in points if drawn_at_random is random]
            if chosen:
                xs, ys = zip(*chosen, strict=True)
                dots(axes, xs, ys, colour, label, marker=marker)
        axes.set_xlabel(f"{before.name}: {METRICS[next(iter(before.objectives))].axis}")
        axes.set_ylabel(f"{after.name}: {METRICS[next(iter(after.objectives))].axis}")
        axes.locator_params(nbins=6)
    legend(drawn, 2)
    text = (
        "Each dot is a promoted network that was not pruned: its value at the fidelity that chose it, and its mean over"
        " seeds at the next one. Dots along a rising line: the cheap fidelity can be trusted. Only those promoted at"
        " random say how far, since the others were chosen for being high."
    )
    yield finished("proxy_against_full", "What a fidelity says of the next", text, drawn, "trust")


def promoted(before: FidelityStanding, after: FidelityStanding) -> list[tuple[float, float, bool]]:
    """Return (value before, mean value after, whether drawn at random) of each promoted trial."""
    sources = {trial.number: trial for trial in complete_trials(before)}
    reached: dict[int, list[Trial]] = {}
    for trial in complete_trials(after):
        if (of := trial.attributes.get("of")) in sources:
            reached.setdefault(int(str(of)), []).append(trial)
    return [
        (_value(sources[of]), statistics.fmean(map(_value, trials)), trials[0].origin == "promoted_random")
        for of, trials in reached.items()
    ]


def _value(trial: Trial) -> float:
    return (trial.values or (float("nan"),))[0]
