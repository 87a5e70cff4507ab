"""What an ablation says, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from dcasearch.ablation.verdict import Judged, Verdict
from dcasearch.metrics import METRICS

COLUMNS = ("network", "parameters", "multiply-adds", "seeds", "difference", "verdict")


def row_of(row: Judged, chosen: Judged) -> tuple[str, ...]:
    """Return a network's line of the table, its cost beside the chosen network's."""
    told = "" if row.difference is None else f"{row.difference.value:+.2f} ± {row.difference.margin or 0:.2f}"
    return (
        row.label,
        _cost(row.cost.params, chosen.cost.params, row is chosen),
        _cost(row.cost.macs, chosen.cost.macs, row is chosen),
        str(row.seeds),
        told,
        row.word,
    )


def _cost(value: int, chosen: int, itself: bool) -> str:
    return f"{value:,}" if itself else f"{value - chosen:+,}"


def conclusion(verdict: Verdict) -> tuple[str, ...]:
    """Return what follows from an ablation, a sentence each."""
    metric = METRICS[verdict.metric]
    margin = f"{verdict.margin:g} points of {metric.label}" if metric.share else f"{verdict.margin:g} of {metric.label}"
    lines = [f"'Not worse' means: less than {margin} below the chosen network, at 95% for all networks of the table."]
    if not any(row.difference is not None for row in verdict.rows):
        return (*lines, "Nothing can be said yet: no network has been trained beside the chosen one.")
    smallest = verdict.smallest
    if smallest.word == "chosen":
        lines.append("No smaller network is known to be not worse than the chosen network.")
    else:
        saved = verdict.chosen.cost.params - smallest.cost.params
        share = 100 * saved / verdict.chosen.cost.params
        lines.append(
            f"The smallest network that is not worse: {smallest.label} ({smallest.architecture_id}), "
            f"{smallest.cost.params:,} parameters, {saved:,} fewer ({share:.1f}%)."
        )
    if verdict.open:
        lines.append(_open(verdict))
    return tuple(lines)


def _open(verdict: Verdict) -> str:
    """Return what it would cost to know of the smaller networks that are not told apart."""
    names = _listed([row.label for row in verdict.open])
    told = f"Not known of smaller networks: {names}."
    if not verdict.noise_known:
        return f"{told} At least three seeds of each network are needed, to know their noise."
    if verdict.seeds_needed is None:
        return (
            f"{told} No number of seeds will tell: this set has too few images for a margin of {verdict.margin:g}. "
            "Compare on more images, or with a wider margin."
        )
    have = min(row.seeds for row in (verdict.chosen, *verdict.open))
    more = sum(max(0, verdict.seeds_needed - row.seeds) for row in (verdict.chosen, *verdict.open))
    if not more:
        return f"{told} They may be a little worse: {have} seeds would tell an equal network in 80% of cases."
    return (
        f"{told} To know costs about {verdict.seeds_needed} seeds of each, {more} more trainings: "
        f"`--seeds {verdict.seeds_needed}`."
    )


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
