"""A plan as YAML: a study and its search space, with a comment at each choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dcasearch.analysis.answers import duration
from dcasearch.config.data_set import Data
from dcasearch.proposal.looking import Looked
from dcasearch.proposal.machine import Machine
from dcasearch.proposal.plan import AT_RANDOM, PROMOTED, Plan
from dcasearch.proposal.start import RECIPE
from dcasearch.proposal.template import space_text
from dcasearch.schemas import schema_comment
from dcasearch.wording import printable

_WIDTH = 120
_MOST_WORKERS = 8
_RATE = 0.05
"""Learning rate from random weights."""
_EVIDENCE = (
    "docs/evidence.md has what such a start was worth on photographs: 60 points with ten images a class, while "
    "attention that starts as the identity gained nothing in 50 steps."
)
_SHOWN = 8
"""Classes that a comment names."""


def space_document(plan: Plan, name: str) -> str:
    """Return the search space's YAML."""
    return (
        f"{schema_comment('space')}\n"
        "# Which attention, in which stages it is connected, and how, in one network. "
        f"Written by `dcasearch init {name} --data`.\n{space_text(plan.rung, trained=plan.start is not None)}"
    )


def study_document(plan: Plan, looked: Looked, data: Data, machine: Machine, name: str, space: Path) -> str:
    """Return the study's YAML.

    Args:
        plan: what was chosen.
        looked: what the images are.
        data: how they are read.
        machine: what the study runs on.
        name: the study's.
        space: the search space's file, beside the study's.
    """
    lines = [
        schema_comment("study"),
        *_head(plan, looked, machine, name),
        f"name: {name}",
        f"space: {_text(space.name)}",
        *_data(plan, looked, data, machine),
        *_objective(plan, looked),
        "sampler: {name: tpe, seed: 0, startup: 8}",
        *_fidelities(plan),
        *_rest(plan, machine),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: Plan, looked: Looked, machine: Machine, name: str) -> Iterator[str]:
    yield from _comment(
        f"Which attention blocks to connect, for the {looked.images:,} images of {len(looked.classes)} classes in "
        f"`data`. Written by `dcasearch init {name} --data`; change what you like."
    )
    yield from _comment(
        f"Costs about {duration(3600 * plan.hours)} on {machine.words}: {plan.trials} trials of {plan.proxy_epochs} "
        f"epochs; {PROMOTED + AT_RANDOM} of them and the baselines with {plan.epochs} epochs; {plan.seeds} more "
        "trainings of the chosen network and of each baseline for the last numbers. `dcasearch check` says it anew "
        "after a change."
    )
    if plan.start is None:
        yield from _comment(
            "Networks are trained from scratch. On few photographs they are compared fairly, but none is as accurate "
            "as a network that was trained on millions before (`dcasearch init --weights`, docs/trained_start.md)."
        )
        return
    where = "found in the library's cache" if plan.start.found else "as you named it"
    yield from _comment(
        f"Networks start from trained weights ({plan.start.weights}, {where}) and are trained for a short time. Their "
        f"attention and connections are new. {_EVIDENCE}"
    )


def _data(plan: Plan, looked: Looked, data: Data, machine: Machine) -> Iterator[str]:
    sizes = "" if looked.sides is None else f"; shorter side {looked.sides[0]} to {looked.sides[2]} pixels"
    most = sorted(looked.counts.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{name} {count:,}" for name, count in most[:_SHOWN])
    more = f" and {len(most) - _SHOWN} more" if len(most) > _SHOWN else ""
    yield "data:"
    yield from _comment(f"Images of each class: {counts}{more}{sizes}.", "  ")
    yield f"  name: {data.name}"
    if data.root is not None:
        yield f"  root: {_text(data.root)}"
    if data.file is not None:
        yield f"  file: {_text(data.file)}"
        said = {role: column for role, column in data.columns.model_dump().items() if column is not None}
        yield f"  columns: {{{', '.join(f'{role}: {_text(column)}' for role, column in said.items())}}}"
        if data.columns.group is not None:
            yield from _comment("Images of one group stay on one side of every split.", "  ")
    if data.split is not None:
        yield from _comment(
            "The data comes in one piece. Of each class a fifth is for the test and a fifth to compare networks on; "
            "`split_seed` draws them.",
            "  ",
        )
        yield f"  split: {{validation: {data.split.validation:g}, test: {data.split.test:g}}}"
    elif looked.parts.keys() >= {"train", "val", "test"}:
        yield from _comment("Networks are compared on a tenth of train, so that no validation image is worn out.", "  ")
    if plan.max_corrupt is not None:
        yield from _comment(
            f"{len(looked.unreadable)} of {looked.decoded:,} images cannot be read. This share allows all of them "
            "in one part; with more a run stops.",
            "  ",
        )
        yield f"  max_corrupt: {plan.max_corrupt:g}"
    workers = min(_MOST_WORKERS, machine.cores // machine.gpus) if machine.gpus else 0
    yield f"  workers: {workers}             # processes that read images, for each training"
    if looked.torn:
        yield from _comment(
            f"{looked.torn} pictures have near copies in several parts, so the test knows some of what is trained on.",
            "  ",
        )


def _objective(plan: Plan, looked: Looked) -> Iterator[str]:
    if not plan.uneven:
        yield "objectives: {top1: maximize}    # or two, e.g. {top1: maximize, macs: minimize}"
        return
    yield from _comment(
        f"The largest class has {looked.imbalance:.0f} times as many images as the smallest. So each class counts "
        "alike: networks are compared by the mean recall of the classes, and `class_weights` below weighs the loss."
    )
    yield "objectives: {balanced_accuracy: maximize}    # `top1` counts each image alike"


def _fidelities(plan: Plan) -> Iterator[str]:
    fraction = "" if plan.proxy_fraction == 1 else f"    train_fraction: {plan.proxy_fraction:g}"
    yield "fidelities:"
    yield f"  - name: proxy            # short trainings: {plan.proxy_epochs} epochs, then the best go on"
    yield f"    trials: {plan.trials}"
    yield f"    resolution: {plan.rung.resolution}        # pixels per side; twice as many cost four times the time"
    yield f"    epochs: {plan.proxy_epochs}"
    if fraction:
        yield fraction
    if plan.start is not None:
        yield f"    initialize: &start {{weights: {_text(plan.start.weights)}}}"
    yield "    recipe: &recipe"
    yield f"      base: {'small' if plan.start is None else RECIPE}"
    yield f"      batch_size: {plan.batch}"
    if plan.start is None:
        yield f"      lr: {_RATE}"
    if plan.uneven:
        yield "      class_weights: balanced"
    yield "      augmentation: {crop: random_resized, area: [0.35, 1.0], flip: true}    # no flip for text or digits"
    yield "  - name: full"
    yield f"    promote: {{top: {PROMOTED}, random: {AT_RANDOM}}}    # the random one says how well the proxy ranks"
    yield f"    resolution: {plan.rung.resolution}"
    yield f"    epochs: {plan.epochs}"
    if plan.start is not None:
        yield "    initialize: *start"
    yield "    recipe: *recipe"


def _rest(plan: Plan, machine: Machine) -> Iterator[str]:
    seeds = ", ".join(str(1000 + n) for n in range(plan.seeds))
    yield from _comment("The last numbers: the chosen network and its baselines, trained anew, on the test images.")
    if plan.splits > 1:
        yield from _comment(
            f"These are few, so the images are divided {plan.splits} times, and each network is trained and tested on "
            "each division (docs/trust.md)."
        )
        yield f"final: {{splits: {plan.splits}}}"
    else:
        yield f"final: {{seeds: [{seeds}]}}"
    yield from _comment("How fast one training runs here, reading the images included; measured when this was written.")
    yield f"throughput: {plan.throughput:.3g}"
    if machine.gpus > 1:
        resources = ", ".join(f"{fidelity}: {{cpu: 2, gpu: 1}}" for fidelity in ("proxy", "full"))
        yield f"executor: {{name: ray, max_concurrent: {plan.concurrent}, resources: {{{resources}}}}}"
    else:
        yield f"executor: {{name: local, max_concurrent: {plan.concurrent}}}"
    yield 'storage: "${DCASEARCH_STORAGE:-sqlite:///dcasearch.db}"'
    yield 'artifacts: "${DCASEARCH_ARTIFACTS:-./artifacts}"'


def _comment(text: str, indent: str = "") -> Iterator[str]:
    """Yield a text as lines of comment."""
    line = f"{indent}#"
    for word in printable(text).split():  # names of folders are in it
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line


def _text(value: str) -> str:
    """Return a string as YAML reads it back, whatever is in it."""
    return printable(json.dumps(value, ensure_ascii=False))  # both escape as YAML's double quotes read it
