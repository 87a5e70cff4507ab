"""A study's standing as plain data, for programs: what `status --json` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from dcasearch.analysis import races
from dcasearch.analysis.power import Power
from dcasearch.analysis.standing import Compared, Standing
from dcasearch.analysis.story import Story
from dcasearch.analysis.trust import Trust
from dcasearch.cli.rows import plain_table
from dcasearch.store import Driver, Run


def as_json(standing: Standing, trust: Iterable[Trust] = ()) -> dict[str, Any]:
    """Return a standing, and how well ranks were predicted, as plain data for programs."""
    return {
        "study": standing.study.name,
        "seconds": standing.seconds,
        "fidelities": [
            {
                "name": fidelity.name,
                "counts": {str(state): n for state, n in fidelity.counts.items()},
                "leader": _plain(fidelity.leader) if fidelity.leader else None,
                "baselines": [_plain(baseline) for baseline in fidelity.baselines],
                "trials": [asdict(trial) for trial in fidelity.trials],
                "race": races.plain(fidelity.race) if fidelity.race else None,
            }
            for fidelity in standing.fidelities
        ],
        "finals": [_plain(final) for final in standing.finals],
        "winner": standing.winner.architecture.id if standing.winner else None,
        "table": None if standing.table is None else plain_table(standing.table),
        "trust": [asdict(entry) for entry in trust],
        "power": [_plain_power(power) for power in standing.powers],
        "networks": {"backbone": standing.networks.backbone or None, "in_words": dict(standing.networks.of)},
    }


def plain_driver(driver: Driver) -> dict[str, Any]:
    """Return who drives a study as plain data."""
    times = {name: getattr(driver, name).isoformat() for name in ("since", "heard")}
    return {"host": driver.host, "pid": driver.pid, "lives": driver.lives, **times}


def plain_run(run: Run | None) -> dict[str, Any] | None:
    """Return the run that ended last as plain data."""
    if run is None:
        return None
    times = {name: getattr(run, name).isoformat() for name in ("since", "ended")}
    return {"host": run.host, "pid": run.pid, "outcome": run.outcome, **times}


def _plain_power(power: Power) -> dict[str, Any]:
    """Return a power as plain data, deviations with their degrees of freedom; the headline under its metric's name."""
    plain = asdict(power)
    if power.splits is None:
        del plain["splits"]
    return {**plain, power.metric: plain.pop("headline")}


def _plain(candidate: Compared) -> dict[str, Any]:
    """Return a candidate as plain data; each metric's values under the metric's name, a score's under `scores`."""
    plain = asdict(candidate)
    del plain["headline"]
    if candidate.over_splits is None:
        del plain["over_splits"]
    values, of_classes = plain.pop("values"), plain.pop("of_classes")
    plain |= {"of_classes": of_classes} if of_classes else {}
    plain |= {"scores": candidate.compared} if candidate.scored else values
    if candidate.behind is not None:
        plain["behind"] |= {
            "resolved": candidate.behind.resolved,
            "said": str(candidate.behind),
            "counts": candidate.behind.counts,
        }
        if candidate.behind.splits is None:
            del plain["behind"]["splits"]
    return plain


def plain_story(story: Story) -> dict[str, Any]:
    """Return a study's story as plain data."""
    return {
        "chosen": None if story.chosen is None else story.chosen.architecture_id,
        "verdict": story.verdict or None,
        "reference": story.reference or None,
        "answers": [{"question": question, "answer": answer} for question, answer in story.lines],
    }
