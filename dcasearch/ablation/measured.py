"""What a database holds of an ablation, and its verdict. Reads, never writes."""

from __future__ import annotations

from dcasearch.ablation.plan import LEVEL
from dcasearch.ablation.variants import Variant
from dcasearch.ablation.verdict import Verdict, judge
from dcasearch.analysis.measured import powers_of
from dcasearch.config.study import Study
from dcasearch.models import cost
from dcasearch.store import Store
from dcasearch.trial import State


def verdict_of(study: Study, store: Store, variants: tuple[Variant, ...], classes: int, margin: float) -> Verdict:
    """Return what the trainings that are stored by now say of each variant.

    Args:
        study: the ablation's, as `plan` made it.
        store: its database.
        variants: the chosen network first.
        classes: outputs of the networks.
        margin: in the headline metric's unit.
    """
    level = study.fidelities[-1]
    values: dict[str, dict[int, float]] = {}
    for trial in store.trials(study.name, LEVEL):
        if trial.state is State.COMPLETE and trial.values is not None:
            values.setdefault(trial.architecture_id, {})[trial.seed] = trial.values[0]
    costs = {v.architecture.id: cost(v.architecture, level.resolution, classes) for v in variants}
    return judge(variants, values, costs, powers_of(study, store)[LEVEL], margin)


def throughput_of(store: Store, evaluation: str, macs: int) -> float | None:
    """Return the multiply-adds per second of the training that a spec's weights come from; None if it is not stored."""
    found = store.evaluations([evaluation]).get(evaluation)
    if found is None or not found.seconds:
        return None
    return 3 * found.images * macs / found.seconds
