"""Small records that the store's tests put in and take out."""

from __future__ import annotations

from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial

ARCHITECTURE = Architecture.parse(
    {"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "connections": {"function": "direct"}}
)
STUDY = "digits"


def curve(*top1: float) -> tuple[Epoch, ...]:
    """A history with these accuracies and floats that only a lossless format keeps."""
    return tuple(
        Epoch(
            epoch=n,
            train_loss=1 / (n + 2),
            values={"loss": 0.1 + 0.2 / n, "top1": value, "top5": value},
            seconds=n / 3,
            device="cpu",
        )
        for n, value in enumerate(top1, start=1)
    )


def evaluation(*top1: float, seed: int = 0, **changes: Any) -> Evaluation:
    key = EvaluationKey(architecture_id=ARCHITECTURE.id, fidelity="f" * 16, data="d" * 16, protocol="search", seed=seed)
    values: dict[str, Any] = {"seconds": 1.5, "images": 100, "device": "cpu", "provenance": {"torch": "2"}, **changes}
    return Evaluation(key=key, history=curve(*top1), **values)


def trial(number: int, **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "study": STUDY,
        "fidelity": "proxy",
        "state": State.RUNNING,
        "origin": "sampled",
        "params": {"attention.name": "se", "attention.reduction": 16, "connections": None, "wide": True},
        "architecture_id": ARCHITECTURE.id,
        "seed": 0,
        **changes,
    }
    return Trial(number=number, **values)


def role(name: str, **changes: Any) -> Role:
    values: dict[str, Any] = {
        "study": STUDY,
        "fidelity": "proxy",
        "role": "baseline",
        "architecture_id": ARCHITECTURE.id,
        "seed": 0,
        **changes,
    }
    return Role(name=name, **values)


def with_study(store: Store) -> Store:
    """The store with the study and the architecture that trials, roles and evaluations refer to."""
    store.put_study(STUDY, {"sampler.seed": 0}, f"name: {STUDY}\n")
    store.put_architecture(ARCHITECTURE)
    return store
