"""How often a race errs and what it finds, by simulation, beside paired t-tests after every seed. Seconds on one core.

    python benchmarks/racing.py

Noise is normal, one point per training, beside what a seed does to all candidates alike. The rows of docs/racing.md.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy import stats

from dcasearch.config.study import Race
from dcasearch.search.race import Floats, resolvable, run_races


def trained(races: int, candidates: int, seeds: int, seed: int = 1) -> Floats:
    """Return the values of equal candidates."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((races, candidates, seeds)) + 3 * rng.standard_normal((races, 1, seeds))


def naive(values: Floats) -> float:
    """Return in which share of races a two-sided paired t-test at 5% after some seed tells any two apart."""
    told = np.zeros(len(values), bool)
    for seeds in range(2, values.shape[2] + 1):
        d = values[:, :, None, :seeds] - values[:, None, :, :seeds]
        t = d.mean(3) / np.maximum(d.std(3, ddof=1), 1e-12) * math.sqrt(seeds)
        told |= (t > stats.t.isf(0.025, seeds - 1)).any((1, 2))
    return float(told.mean())


def planted(races: int, candidates: int, seeds: int, lead: float) -> Floats:
    """Return the values of candidates of whom the first is better than all others."""
    values = trained(races, candidates, seeds, seed=7)
    values[:, 0] += lead
    return values


def main() -> None:
    """Print one row per number of candidates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=2000)
    parser.add_argument("--max-seeds", type=int, default=8)
    arguments = parser.parse_args()
    races, race = arguments.races, Race(max_seeds=arguments.max_seeds)
    print(f"{races} races each, confidence 95%, up to {race.max_seeds} seeds")
    print("             chance of error %                lead that is found    mean trainings where the lead is")
    print("candidates  race  naive  one 3x as noisy  in units of the noise   found %   none   that   twice that")
    for candidates in (2, 3, 4, 5, 8, 12):
        equal = trained(races, candidates, race.max_seeds)
        left = run_races(equal, race)
        uneven = np.random.default_rng(3).standard_normal(equal.shape)
        uneven[:, 0] *= 3
        lead = resolvable(1.0, candidates, race)
        found, sooner = (run_races(planted(races, candidates, race.max_seeds, times * lead), race) for times in (1, 2))
        alone = (found[:, 0] == 0) & (found[:, 1:] > 0).all(1)
        errs, noisy = (100 * (ended > 0).any(1).mean() for ended in (left, run_races(uneven, race)))
        spent = [_trainings(ended, race) for ended in (left, found, sooner)]
        print(
            f"{candidates:10}  {errs:4.1f}  {100 * naive(equal):5.1f}  {noisy:15.1f}  {lead:21.2f}"
            f"  {100 * alone.mean():8.1f}  {spent[0]:5.1f}  {spent[1]:5.1f}  {spent[2]:11.1f}"
        )


def _trainings(left: np.ndarray[tuple[int, ...], np.dtype[np.int64]], race: Race) -> float:
    """Return the mean number of trainings of a race: who is left alone gets no more than its last rival."""
    last = np.where((left == 0).sum(1) == 1, left.max(1), race.max_seeds)
    return float(np.where(left == 0, last[:, None], left).sum(1).mean())


if __name__ == "__main__":
    main()
