"""What a study asks, in words: the space, what is wanted and allowed, and the budget. Reads nothing but the study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dcasearch.architecture.kinds import KINDS
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import label_of
from dcasearch.config.study import Bound, Fidelity, Study
from dcasearch.metrics import METRICS, Direction
from dcasearch.space import read_space
from dcasearch.space.axes import Axis
from dcasearch.space.choice_space import ChoiceSpace
from dcasearch.space.counting import size

_LARGE = 10**9
"""Sizes from here on are powers of ten."""


def asked_of(study: Study) -> str:
    """Return in a few sentences what a study asks: question, space, constraints, budget."""
    return " ".join([_question(study), _space(study), *_allowed(study.constraints), _budget(study)])


def _question(study: Study) -> str:
    wanted = [_wanted(metric, way) for metric, way in study.objectives.items()]
    space = read_space(study.space)
    if not isinstance(space, ChoiceSpace):
        return f"How do the networks of a list compare in {_listed(wanted, 'and')} on {study.data.name}?"
    backbones = _listed([str(option.word) for option in space.backbone[0].options], "or")
    return (
        f"How should the attention blocks of {backbones} be connected for {_listed(wanted, 'and')} on "
        f"{study.data.name}?"
    )


def _wanted(metric: str, way: Direction) -> str:
    """Return an objective in words, e.g. `high top-1 accuracy`, `few parameters`."""
    much, little = ("many", "few") if METRICS[metric].is_cost else ("high", "low")
    accuracy = " accuracy" if METRICS[metric].share else ""
    return f"{much if way == 'maximize' else little} {METRICS[metric].label}{accuracy}"


def _space(study: Study) -> str:
    space = read_space(study.space)
    if not isinstance(space, ChoiceSpace):
        return f"The list has {size(space):,} networks."
    parts = [f"attention {_choices(space.attention.name)}, {_grain(space.attention.grain)}"]
    if space.stage_attention is not None:
        parts.append(f"after stages {_choices(space.stage_attention.name)}")
    if space.attention_init is not None:
        parts.append(f"attention_init {_choices(space.attention_init)}")
    connections = space.connections
    if connections is None:
        parts.append("no connections")
    else:
        dimensions = [name for name, axis in connections.receives.items() if any(o.value for o in axis.possible)]
        parts.append(f"{_listed(dimensions, 'and')} connections, {_grain(connections.grain)}")
        parts.append(f"topology {_choices(connections.topology)}")
        parts.append(f"function {_choices(connections.function)}")
    return f"The space has {_count(size(space))} points: {'; '.join(parts)}."


def _attention(word: str) -> str:
    return "none" if word == NO_ATTENTION else label_of(word) if word in KINDS else word


def _grain(grain: str) -> str:
    """Return at what grain something is chosen."""
    return "chosen once for the network" if grain == "network" else f"chosen per {grain}"


def _choices(axis: Axis) -> str:
    words = dict.fromkeys(str(option.word) for option in axis.possible)
    return _listed([_attention(word) for word in words], "or")


def _count(number: int) -> str:
    return f"{number:,}" if number < _LARGE else f"about 10^{len(str(number)) - 1}"


def _allowed(constraints: Mapping[str, Bound]) -> Iterator[str]:
    for metric, bound in constraints.items():
        limits = [(bound.min, "at least"), (bound.max, "at most")]
        said = [f"{word} {short(limit)}" for limit, word in limits if limit is not None]
        yield f"Allowed: {' and '.join(said)} {METRICS[metric].label}."


def short(number: float) -> str:
    """Return a count that a person reads at a glance, e.g. `262k`, `5.21M`, `4.09G`."""
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= one:
            digits = 0 if number >= 100 * one else 1 if number >= 10 * one else 2
            rounded = f"{number / one:.{digits}f}"
            return (rounded.rstrip("0").rstrip(".") if digits else rounded) + unit
    return f"{number:g}"


def _budget(study: Study) -> str:
    steps = [_step(fidelity) for fidelity in study.fidelities]
    if study.final is not None:
        seeds = len(study.final.seeds)
        where = "the test images"
        if study.final.splits > 1:
            where = f"the test images of {study.final.splits} splits of the data"
        steps.append(f"the chosen network and its baselines anew with {seeds} fresh seed{'s' * (seeds > 1)} on {where}")
    return f"Budget: {'; then '.join(steps)}."


def _step(fidelity: Fidelity) -> str:
    epochs = f"{fidelity.epochs} epoch{'s' * (fidelity.epochs > 1)}"
    how = f"scored by {fidelity.score}" if fidelity.score is not None else epochs
    seeds = "" if len(fidelity.seeds) == 1 else f", {len(fidelity.seeds)} seeds each"
    if fidelity.promote is None:
        who = "every network" if fidelity.trials is None else f"{fidelity.trials:,} trials"
    else:
        drawn = f" and {fidelity.promote.random} drawn at random" if fidelity.promote.random else ""
        who = f"the best {fidelity.promote.top}{drawn}"
        seeds = "" if fidelity.race is None else f", raced with up to {fidelity.race.max_seeds} seeds"
    return f"{who} ({fidelity.name}: {how}{seeds})"


def _listed(words: Iterable[str], last: str) -> str:
    """Return words as a sentence lists them, e.g. `a, b and c`."""
    *head, tail = words
    return f"{', '.join(head)} {last} {tail}" if head else tail
