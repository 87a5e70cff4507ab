"""What a person does next with a study: one concrete step that fits its state. The first rule that applies is said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dcasearch.analysis.paired import ENOUGH, Error, Z
from dcasearch.analysis.power import Difference, Power, images_part
from dcasearch.analysis.resampling import Splits, half_width
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.analysis.trust import Trust
from dcasearch.config.study import Fidelity
from dcasearch.metrics import METRICS
from dcasearch.store import Store
from dcasearch.trial import State

_MOST_SEEDS = 30
"""Nobody trains more seeds than that for one comparison, or on more splits."""
_MOST_IMAGES = 10_000_000
"""Nobody collects more evaluation images than that for one comparison."""
_FRESH = 1000
"""The first seed of final trainings by default."""
_WRITTEN_OUT = 12
"""More seeds than that are not written out."""
_RUN = "`dcasearch run STUDY.yaml`"


def next_step(
    store: Store, standing: Standing, lead: Difference | None, power: Power | None, trust: Sequence[Trust] = ()
) -> str:
    """Return what to do next, with a command in backticks.

    Args:
        store: The study's database.
        standing: Where it stands.
        lead: The chosen network minus its reference; None where nothing is compared.
        power: Of the trainings that the lead is from.
        trust: How well each proxy predicts, where that was asked.
    """
    rules = (
        _while_it_runs(store, standing),
        _while_it_is_unfinished(standing),
        _after_failures(standing),
        _after_too_few_seeds(standing, lead, power),
        *(_after_distrust(standing, lead, trust)),
        _after_no_lead(standing, lead, power),
        _after_a_loss(standing, lead),
        _after_a_lead(standing, lead),
    )
    return next(rule for rule in rules if rule is not None)


def _while_it_runs(store: Store, standing: Standing) -> str | None:
    driver = store.driver(standing.study.name)
    if driver is None or not driver.lives:
        return None
    return f"Wait: the study still runs. `dcasearch status {standing.study.name}` shows how far it is."


def _while_it_is_unfinished(standing: Standing) -> str | None:
    missing = missing_of(standing)
    return None if missing is None else f"Go on: `dcasearch run STUDY.yaml`, since {missing}."


def missing_of(standing: Standing) -> str | None:
    """Return what a study has not done yet of what it planned, in words; None where it is at its end."""
    study = standing.study
    for level, fidelity in zip(study.fidelities, standing.fidelities, strict=True):
        if fidelity.suspended:
            count = len(fidelity.suspended)
            return f"{count} trial{'s' * (count > 1)} of fidelity {fidelity.name} {_verb(count)} interrupted"
        if not fidelity.trials:
            return f"fidelity {fidelity.name} has no trial yet"
        if (left := _left(standing, level, fidelity)) > 0:
            return f"fidelity {fidelity.name} has {left} trial{'s' * (left > 1)} to come"
        if fidelity.race is not None and fidelity.race.waits:
            return f"the race of fidelity {fidelity.name} needs more seeds"
    if study.final is None or standing.winner is None:
        return None
    chosen = next((f for f in standing.finals if f.architecture_id == standing.winner.architecture.id), None)
    if chosen is None or (not chosen.failure and len(chosen.seeds) < len(study.final.seeds)):
        return "the final trainings on the test images are to come"
    return None


def _verb(count: int) -> str:
    return "was" if count == 1 else "were"


def _left(standing: Standing, level: Fidelity, fidelity: FidelityStanding) -> int:
    """Return how many trials a fidelity still has to train; 0 where a later fidelity has begun or a rule ended it."""
    study = standing.study
    place = standing.fidelities.index(fidelity)
    begun_later = any(later.trials for later in standing.fidelities[place + 1 :])
    stopped = study.stop.no_improvement is not None or study.stop.target is not None
    if level.trials is None or begun_later or standing.finals or (stopped and place == 0):
        return 0
    used = sum(fidelity.counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    # A small space ends before its trials do: then networks come again as duplicates, and nobody can be suggested.
    return 0 if fidelity.counts.get(State.DUPLICATE) else level.trials - used


def _after_failures(standing: Standing) -> str | None:
    compared = (*standing.finals, *standing.fidelities[-1].baselines)
    failed = [one.shown for one in compared if one.failure and not one.compared]
    if not failed:
        return None
    name = standing.study.name
    failures = ", ".join(dict.fromkeys(failed))
    return f"Take up again what failed: `dcasearch retry {name}`, then {_RUN} ({failures})."


def _after_too_few_seeds(standing: Standing, lead: Difference | None, power: Power | None) -> str | None:
    if lead is None or lead.seeds_known:
        return None
    if power is not None and power.splits is not None:
        return f"Train on {ENOUGH} splits: write `final: {{splits: {ENOUGH}}}` into the study's YAML, then {_RUN}."
    if power is None or not hidden_by_images(lead, power):
        written = _written_seeds(standing, ENOUGH)
        return f"Train {ENOUGH} seeds: write {written} into the study's YAML, then {_RUN}."
    images = images_for(power, abs(lead.value))
    needed = "more images" if images is None else f"about {images:,} images"
    return (
        f"Take both for equal: `dcasearch export {standing.study.name}` writes the chosen one. Telling them apart "
        f"needs {needed}, since {power.images:,} cannot show so small a lead, and {ENOUGH} seeds."
    )


def hidden_by_images(lead: Difference, power: Power) -> bool:
    """Return whether a lead is too small for the evaluation images, however many seeds are trained."""
    least = power.headline.at_least
    return power.images is not None and least is not None and abs(lead.value) < least


def _written_seeds(standing: Standing, number: int) -> str:
    """Return the line of YAML that gives a comparison so many seeds: of a list its fidelity's, else the final ones."""
    study = standing.study
    if standing.table is not None:
        seeds = list(study.fidelities[-1].seeds)
        fresh, line = 0, "`seeds: {}`"
    else:
        seeds = [] if study.final is None else list(study.final.seeds)
        fresh, line = _FRESH, "`final: {{seeds: {}}}`"
    following = max(seeds, default=fresh - 1) + 1
    seeds += range(following, following + number - len(seeds))
    return line.format(seeds if number <= _WRITTEN_OUT else f"[{seeds[0]}, …]")


def _after_distrust(standing: Standing, lead: Difference | None, trust: Sequence[Trust]) -> Iterator[str]:
    """Yield a step where a proxy's order is not shown to be that of the next fidelity, and the search won nothing."""
    if lead is not None and lead.resolved and _ahead(standing, lead):
        return
    for entry in trust:
        if entry.predictor == "value" and entry.fidelity != entry.against and entry.correlation is not None:
            low, high = entry.correlation.tau_interval
            if low <= 0:
                yield (
                    f"Do not trust {entry.fidelity} yet: its order is not shown to be that of {entry.against} "
                    f"(Kendall τ {entry.correlation.tau:+.2f}, 95% {low:+.2f} to {high:+.2f}). Give it more epochs "
                    "under another `name`, then `dcasearch run STUDY.yaml`."
                )


def _after_no_lead(standing: Standing, lead: Difference | None, power: Power | None) -> str | None:
    if lead is None or lead.resolved or power is None:
        return None
    name = standing.study.name
    if power.splits is not None and (splits := splits_for(power, power.splits, abs(lead.value), lead.comparisons)):
        return (
            f"If a lead this small matters, train on {splits} splits: write `final: {{splits: {splits}}}` into the "
            f"YAML, then {_RUN}. If not, take the cheaper network."
        )
    if power.splits is not None:
        return (
            "Take the cheaper network: more splits of these images do not show a lead this small, more images may. "
            f"`dcasearch export {name}` writes the chosen one."
        )
    seeds = seeds_for(power, abs(lead.value), lead.comparisons)
    if seeds is not None:
        return (
            f"If a lead this small matters, train {seeds} seeds: write {_written_seeds(standing, seeds)} into the "
            f"YAML, then {_RUN}. If not, take the cheaper network."
        )
    images = images_for(power, abs(lead.value))
    if images is not None:
        return (
            f"Take the cheaper network: no number of seeds shows a lead this small, it needs about {images:,} "
            f"evaluation images. `dcasearch export {name}` writes the chosen one."
        )
    return f"Take the cheaper network: the lead is lost in noise. `dcasearch export {name}` writes the chosen one."


def seeds_for(power: Power, lead: float, comparisons: int = 1) -> int | None:
    """Return with how many seeds each a lead of this size would count; None where no sensible number is enough."""
    noise = power.headline.paired or power.headline.noise
    if noise is None or not lead:
        return None
    known = _images_variance(power)
    for seeds in range(max(ENOUGH, power.seeds + 1), _MOST_SEEDS + 1):
        if Error(2 * noise.sd**2 / seeds, noise.df, known).margin(comparisons) < lead:
            return seeds
    return None


def splits_for(power: Power, splits: Splits, lead: float, comparisons: int = 1) -> int | None:
    """Return over how many splits a lead of this size would count; None where no sensible number is enough."""
    noise = power.headline.paired or power.headline.noise
    if noise is None or not lead:
        return None
    for number in range(max(ENOUGH, splits.number + 1), _MOST_SEEDS + 1):
        if half_width(2 * noise.sd**2, number, splits.ratio, comparisons) < lead:
            return number
    return None


def images_for(power: Power, lead: float) -> int | None:
    """Return on how many images a lead of this size would count if seeds had no noise.

    None where it needs no more than there are, or more than anybody has.
    """
    known = _images_variance(power)
    if power.images is None or not known or not lead:
        return None
    wanted = power.images * Z**2 * known / lead**2
    if not power.images < wanted <= _MOST_IMAGES:
        return None
    step: int = 10 ** max(0, math.floor(math.log10(wanted)) - 1)
    return math.ceil(wanted / step) * step


def _images_variance(power: Power) -> float:
    if power.images is None or power.mean is None:
        return 0.0
    return images_part(METRICS[power.metric], power.mean, power.mean, power.images)


def _ahead(standing: Standing, lead: Difference) -> bool:
    candidates: Sequence[Compared] = [*standing.finals, *(f.leader for f in standing.fidelities if f.leader)]
    return bool(candidates) and candidates[0].headline.sign * lead.value > 0


def _after_a_loss(standing: Standing, lead: Difference | None) -> str | None:
    if lead is None or not lead.resolved or _ahead(standing, lead):
        return None
    return (
        "Keep the baseline, or search on: more `trials` in the YAML's first fidelity, then `dcasearch run STUDY.yaml`."
    )


def _after_a_lead(standing: Standing, lead: Difference | None) -> str:
    name = standing.study.name
    writes = f"Export it: `dcasearch export {name} --out best.yaml` writes the network with its weights"
    if lead is None and not any(fidelity.baselines for fidelity in standing.fidelities):
        return f"{writes}. `baselines: true` in the YAML trains networks to compare it with."
    return f"{writes}, `dcasearch verify best.yaml` checks them."
