"""From what a study wants trained to the assignment that says so: the one place where a study's are made."""

from __future__ import annotations

from dcasearch.architecture import Architecture, started_as_vanilla, vanilla_of
from dcasearch.assignment import Assignment
from dcasearch.config.data_set import Data
from dcasearch.config.starts import start_for
from dcasearch.config.study import Fidelity, Study
from dcasearch.evaluation import EvaluationProtocol


def assignment_of(
    study: Study,
    fidelity: Fidelity,
    architecture: Architecture,
    seed: int,
    *,
    data_fingerprint: str,
    protocol: EvaluationProtocol | None = None,
    data: Data | None = None,
) -> Assignment:
    """Return the training of an architecture at a fidelity, with its vanilla parent's where it needs that.

    A network may start from its parent (`initialize: vanilla`), or measure its constant messages in a parent of the
    same fidelity and seed; `space.parents` refuses a study that asks for both.

    Args:
        study: whose data it is.
        fidelity: one of the study's.
        architecture: as it was sampled.
        seed: of the training, and of its parent's.
        data_fingerprint: `DataInfo.fingerprint`.
        protocol: the study's own unless given; a parent never sees the test split.
        data: the study's own unless given: a final training may have a split of its own, and its parent has the same.
    """
    data = data or study.data
    protocol = protocol or study.data.protocol
    constants = architecture.network.has_constants
    how = fidelity if constants else fidelity.parent
    parent = None
    if how is not None:
        vanilla = vanilla_of(architecture)
        parent = Assignment(
            architecture=vanilla,
            fidelity=how,
            data=data,
            data_fingerprint=data_fingerprint,
            protocol=study.data.protocol,
            seed=seed,
            task=study.task,
            metrics=study.further_metrics,
            detector=study.detector,
            start=start_for(how.initialize, vanilla.id),
        )
    return Assignment(
        architecture=architecture if parent is None or constants else started_as_vanilla(architecture),
        fidelity=fidelity,
        data=data,
        data_fingerprint=data_fingerprint,
        protocol=protocol,
        seed=seed,
        task=study.task,
        metrics=study.further_metrics,
        detector=study.detector,
        start=start_for(fidelity.initialize, architecture.id),
        parent=parent,
    )
