"""What became of every trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.standing import Standing
from dcasearch.report.figures.canvas import Figure, canvas, finished, legend
from dcasearch.report.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PALE, PAPER, SKY, YELLOW
from dcasearch.trial import State

STATES: Mapping[State, str] = {
    State.COMPLETE: GREEN,
    State.PRUNED: YELLOW,
    State.INFEASIBLE: GREY,
    State.DUPLICATE: PALE,
    State.FAILED: ORANGE,
    State.RUNNING: BLUE,
    State.WAITING: SKY,
}
_DARK = (State.COMPLETE, State.FAILED, State.RUNNING)
"""States on whose colour the page's own colour is readable."""
_NARROW = 0.06
"""Share of the longest bar below which a count does not fit."""


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the figure of the fidelities that have trials."""
    begun = [fidelity for fidelity in standing.fidelities if fidelity.trials]
    if not begun:
        return
    drawn, [axes] = canvas(1.0 + 0.42 * len(begun))
    left = [0] * len(begun)
    names = [fidelity.name for fidelity in begun]
    longest = max(len(fidelity.trials) for fidelity in begun)
    for state, colour in STATES.items():
        counts = [fidelity.counts.get(state, 0) for fidelity in begun]
        if any(counts):
            bars = axes.barh(names, counts, left=left, color=colour, label=f"{state} {sum(counts)}", height=0.6)
            shown = [str(count) if count > _NARROW * longest else "" for count in counts]
            ink = PAPER if state in _DARK else INK
            axes.bar_label(bars, shown, label_type="center", fontsize=9, color=ink)
            left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("trials")
    axes.locator_params(axis="x", integer=True)
    legend(drawn, 3)
    text = "Infeasible trials and duplicates were not trained and cost nothing. Pruned ones were stopped at a rung."
    yield finished("ledger", "What became of the trials", text, drawn, "search")
