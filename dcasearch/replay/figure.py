"""The mean regret of each searcher over what it has cost."""

from __future__ import annotations

from pathlib import Path

from dcasearch.replay.comparison import Comparison, mean_regret


def draw(comparison: Comparison, path: Path) -> None:
    """Write the figure, as the file's suffix says (.svg, .png); searchers that train nothing are level lines."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for n, result in enumerate(comparison.results):
        if result.seconds == 0:
            axes.axhline(result.regret, color=f"C{n}", linestyle=":", label=result.name)
        else:
            at, regret = mean_regret(result.replays)
            axes.step(at / comparison.every, regret, where="post", color=f"C{n}", label=result.name)
    axes.axhline(comparison.aim, color="black", linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_xlabel("cost, as a share of training every architecture once")
    axes.set_ylabel("mean scaled regret")
    axes.set_title(f"table {comparison.table}: {comparison.members} architectures, aim {comparison.aim:g}")
    axes.legend(fontsize="small")
    figure.savefig(path)
