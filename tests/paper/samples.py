"""A database that holds trainings of the paper's networks, none of which ever ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey, EvaluationProtocol, fingerprint
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial
from tests.support import make_study


def put_study(
    store: Store,
    name: str = "paper",
    *,
    classes: int = 1000,
    data: str = "imagenet",
    images: int | None = None,
    **full: Any,
) -> None:
    """Store a study whose last fidelity is like the paper's trainings, but for what `full` says.

    `images` are the validation images; None: the study does not say how many there are.
    """
    fidelity = {"name": "full", "trials": 5, "resolution": 224, "epochs": 100, **full}
    study = make_study(name=name, data={"name": data, "root": "data"}, fidelities=[fidelity])
    counted = {} if images is None else {"data.validation_images": images}
    store.put_study(name, {"data.classes": classes, **counted}, study.model_dump_json())


def record(
    store: Store,
    architecture: Architecture,
    top1: float,
    *,
    study: str = "paper",
    seed: int = 0,
    protocol: EvaluationProtocol = "paper",
    beside: str = "",
) -> str:
    """Store one training and return its id; its top-5 is halfway to 100%. `beside` makes a key of its own."""
    values = {"loss": 1.0, "top1": top1, "top5": (top1 + 100) / 2}
    return record_values(store, architecture, values, study=study, seed=seed, protocol=protocol, beside=beside)


def record_values(
    store: Store,
    architecture: Architecture,
    values: Mapping[str, float],
    *,
    study: str = "paper",
    seed: int = 0,
    protocol: EvaluationProtocol = "paper",
    beside: str = "",
) -> str:
    """Store one training that measured these values, and return its id."""
    store.put_architecture(architecture)
    meaning = fingerprint([study, f"full{beside}"])
    key = EvaluationKey(architecture_id=architecture.id, fidelity=meaning, data="d" * 16, protocol=protocol, seed=seed)
    epoch = Epoch(epoch=1, train_loss=1.0, values=values, seconds=1.0)
    store.record(Evaluation(key=key, history=(epoch,), seconds=1.0, images=1, device="cpu"))
    return key.id


def put_detection(
    store: Store, name: str = "paper", *, meaning: Mapping[str, int] | None = None, **changes: Any
) -> None:
    """Store a study of RetinaNets whose fidelity is like the paper's trainings, but for what `changes` say.

    `data`, `detector` and `full`, the fidelity, are changed key by key.
    """
    fidelity = {"name": "full", "trials": 5, "resolution": 800, "epochs": 24, "recipe": load_recipe("retinanet").recipe}
    written = {
        "data": {"name": "coco", "root": "coco", **changes.get("data", {})},
        "detector": {"name": "retinanet", "preset": "paper", **changes.get("detector", {})},
        "fidelities": [{**fidelity, **changes.get("full", {})}],
    }
    study = make_study(name=name, task="detection", **written)
    counted = {"data.classes": 80, "data.validation_images": 5_000, "data.test_images": 5_000, **(meaning or {})}
    store.put_study(name, counted, study.model_dump_json())


def put_trial(store: Store, architecture: Architecture, evaluation: str, number: int, **changes: Any) -> None:
    """Store a trial of a recorded training."""
    values: dict[str, Any] = {
        **{"study": "paper", "fidelity": "full", "state": State.COMPLETE, "origin": "sampled", "params": {}, "seed": 0},
        **{"architecture_id": architecture.id, "evaluation": evaluation, "number": number},
        **changes,
    }
    store.put_trial(Trial(**values))


def put_role(store: Store, architecture: Architecture, evaluation: str, name: str, **changes: Any) -> None:
    """Store a baseline of a recorded training."""
    values: dict[str, Any] = {
        **{"study": "paper", "fidelity": "full", "role": "baseline", "seed": 0},
        **{"name": name, "architecture_id": architecture.id, "evaluation": evaluation},
        **changes,
    }
    store.put_role(Role(**values))


def train(store: Store, architecture: Architecture, top1s: Iterable[float], **changes: Any) -> None:
    """Store a complete trial for each seed, from 0."""
    study = str(changes.get("study", "paper"))
    for seed, top1 in enumerate(top1s):
        id = record(store, architecture, top1, study=study, seed=seed)
        number = len(store.trials(study, "full"))
        put_trial(store, architecture, id, number, seed=seed, **changes)
