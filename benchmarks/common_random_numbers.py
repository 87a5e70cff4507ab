"""What equal seeds and a warm start do to the difference of two networks, from the trainings of reference tables.

Equal seeds ("common random numbers") give two networks the same initial parameters where names are equal, and the same
batches. Every pair of networks with one vanilla parent is compared, so what differs is the connections. Per fidelity:

  var off, on   variance over seeds of the difference of top-1, one seed each, with unequal and with equal seeds;
  on / off      their ratio, with a 95% bootstrap interval over the networks;
  effect        spread (sd) of the networks around their parent's family mean, without what the noise adds to it;
  effect/noise  that over the noise of one training at equal seeds: what one seed is worth;
  with truth    mean over the families of the rank correlation of the means over seeds with those of the long trainings;
  1 point       seconds to find a difference of one point in 80% (two-sided 5%), off and on, parents included.

    python benchmarks/common_random_numbers.py benchmarks/tables/dev.jsonl benchmarks/tables/test.jsonl
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dcasearch.replay.table import Table, read_table

Floats = NDArray[np.float64]
RESAMPLES = 2000
NEEDED = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2
"""Squared standard errors that a difference must be, to be found in 80% at 5%."""


@dataclass(frozen=True)
class Family:
    """The networks of one vanilla parent at one fidelity."""

    values: Floats
    """Top-1 in percent, shape (networks, seeds)."""
    truth: Floats
    """Mean of the long trainings with other seeds, shape (networks,)."""


def families(table: Table, fidelity: str) -> Iterator[Family]:
    """Yield the families, with every seed that all networks of the table have at the fidelity."""
    every = {seed for _, name, seed in table.rows if name == fidelity}
    seeds = [s for s in sorted(every) if all((m.architecture, fidelity, s) in table.rows for m in table.members)]
    for parent in dict.fromkeys(member.parent for member in table.members):
        ids = [member.architecture for member in table.members if member.parent == parent]
        values = np.array([[table.rows[id, fidelity, seed].values[-1] for seed in seeds] for id in ids])
        yield Family(values, np.array([table.truth[id] for id in ids]))


def variances(family: Family) -> tuple[Floats, Floats]:
    """Return that of the difference of every two networks, at unequal and equal seeds; shape (networks, networks)."""
    own = family.values.var(1, ddof=1)
    on = (family.values[:, None] - family.values).var(2, ddof=1)
    off = own[:, None] + own
    np.fill_diagonal(off, 0.0)
    return off, on


def mean_variances(found: list[Family]) -> tuple[float, float]:
    """Return both, over all pairs of one family."""
    off, on = (sum(float(v.sum()) for v in of) for of in zip(*map(variances, found), strict=True))
    pairs = sum(len(family.values) * (len(family.values) - 1) for family in found)
    return off / pairs, on / pairs


def ratio_interval(found: list[Family]) -> tuple[float, float]:
    """Return a bootstrap interval of on / off; networks are drawn within their family, a copy is no pair."""
    rng, ratios = np.random.default_rng(0), []
    each = [variances(family) for family in found]
    for _ in range(RESAMPLES):
        sums = np.zeros(2)
        for off, on in each:
            drawn = rng.integers(len(off), size=len(off))
            sums += off[np.ix_(drawn, drawn)].sum(), on[np.ix_(drawn, drawn)].sum()
        ratios.append(sums[1] / sums[0])
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(low), float(high)


def effect(found: list[Family]) -> float:
    """Return the spread of the networks' own values within families, the noise of their means taken out."""
    between = [family.values.mean(1).var(ddof=1) for family in found]
    noise = mean_variances(found)[1] / 2 / found[0].values.shape[1]
    return math.sqrt(max(0.0, float(np.mean(between)) - noise))


def with_truth(found: list[Family]) -> float:
    """Return the mean over families of Spearman's ρ of the means over seeds with the truth."""
    return float(np.mean([stats.spearmanr(family.values.mean(1), family.truth).statistic for family in found]))


def seconds(table: Table, fidelity: str) -> tuple[float, float]:
    """Return those of one network's training, and of one parent's; 0 where there is none."""
    own = [sum(row.seconds) for (_, name, _), row in table.rows.items() if name == fidelity]
    parents = [sum(row.seconds) for (_, name, _), row in table.rows.items() if name == f"{fidelity}.parent"]
    return float(np.mean(own)), float(np.mean(parents)) if parents else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    for path in parser.parse_args().tables:
        table = read_table(path)
        truth = table.head.truth
        parents = {member.parent for member in table.members}
        print(f"table {table.head.name}: {len(table.members)} networks of {len(parents)} parents")
        print(
            f"{'fidelity':9}{'seeds':>6}{'var off':>9}{'var on':>8}{'on / off':>26}"
            f"{'effect':>8}{'effect/noise':>14}{'with truth':>12}{'1 point off':>13}{'on':>8}"
        )
        for name in (f["name"] for f in table.head.study["fidelities"]):
            found = list(families(table, name))
            off, on = mean_variances(found)
            low, high = ratio_interval(found)
            own, parent = seconds(table, name)
            sized = effect(found)
            # With unequal seeds each network has a parent of its own.
            costs = (math.ceil(NEEDED * off) * 2 * (own + parent), math.ceil(NEEDED * on) * (2 * own + parent))
            agrees = "itself" if name == truth else f"{with_truth(found):.2f}"
            ratio = f"{on / off:.2f} ({low:.2f} to {high:.2f})"
            print(
                f"{name:9}{found[0].values.shape[1]:6}{off:9.2f}{on:8.2f}{ratio:>26}"
                f"{sized:8.2f}{sized / math.sqrt(on / 2):14.2f}{agrees:>12}{costs[0]:13.0f}{costs[1]:8.0f}"
            )


if __name__ == "__main__":
    main()
