"""From a plan to a folder with the trained model, its spec and its record; resumable to the step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcasearch.artifacts import read_bytes, remove_leftovers, write_atomically
from dcasearch.errors import StorageError, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.export import Candidate, Exported, export
from dcasearch.files import locked
from dcasearch.full_training.plan import Plan
from dcasearch.models import cost
from dcasearch.training import Assignment, Ranks, Session, put_start, weights_path

SPEC, RECORD, UNFINISHED = "model.yaml", "record.json", "unfinished"
"""In the output folder: the spec, with its weights beside it; the record; the checkpoint while there is one."""


@dataclass(frozen=True)
class Passed:
    """One epoch that is done."""

    epoch: Epoch
    of: int
    replayed: bool
    """It was read from the checkpoint."""
    parent: bool = False
    """It is one of the vanilla parent, which is trained first where a message is constant."""


@dataclass(frozen=True)
class Trained:
    """How a training ended."""

    record: dict[str, Any]
    """What `record.json` holds."""
    before: bool
    """An earlier run had finished it; nothing was done."""


def train(
    plan: Plan,
    out: Path,
    *,
    threads: int,
    device: str,
    ranks: Ranks,
    observe: Callable[[Passed], None],
    interrupted: Callable[[], bool],
) -> Trained:
    """Train a plan to its end, from its checkpoint if there is one; rank 0 writes.

    Args:
        plan: equal on all ranks.
        out: folder for `model.yaml` (a spec), `model.safetensors` and `record.json`; made where it is missing.
        threads: of CPU computation, of this rank.
        device: of this rank.
        ranks: this process among those that train together.
        observe: called after every epoch, those of the checkpoint included.
        interrupted: asked after every step; True writes the state and raises Preempted.

    Raises:
        UserError: the folder holds another training, or another process trains in it.
        TrialFailure: the training ran out of memory, diverged, met a bug, or lost a rank.
        DataError, StorageError, Preempted: as `Session.next`.
    """
    with _held(out, ranks):
        found = _record_of(out) if ranks.first else None
        _agree(ranks, lambda: _check_same(found, plan, out))
        if ranks.any(found is not None and _is_complete(found, out)):
            return Trained(found or {}, before=True)
        if ranks.first and found is None:
            _write(out, _record(plan, [], status="unfinished"))
        evaluation = _train(plan, out, threads, device, ranks, observe, interrupted)
        record = _finish(plan, out, evaluation) if evaluation else {}
    return Trained(record, before=False)


def _train(
    plan: Plan,
    out: Path,
    threads: int,
    device: str,
    ranks: Ranks,
    observe: Callable[[Passed], None],
    interrupted: Callable[[], bool],
) -> Evaluation | None:
    """Return rank 0's record of the training, and train the parent before it where it needs one."""
    looks = 0

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return interrupted()

    def trained(assignment: Assignment, *, parent: bool) -> Evaluation | None:
        training = Session(
            assignment,
            artifacts=out / UNFINISHED,
            threads=threads,
            device=device,
            ranks=ranks,
            interrupted=counted,
        )
        history: list[Epoch] = []
        for _ in range(assignment.fidelity.epochs):
            before = looks
            history.append(training.next())
            replayed = looks == before  # a session that trains asks after every step
            if ranks.first and not replayed and not parent:
                _write(out, _record(plan, history, status="unfinished"))
            observe(Passed(history[-1], assignment.fidelity.epochs, replayed, parent))
        return training.evaluation() if ranks.first else None

    if plan.start_file is not None and plan.assignment.start is not None and ranks.first:
        put_start(plan.start_file, plan.assignment.start.sha256, out / UNFINISHED)
    needed = plan.assignment.parent
    if needed is not None:
        there = weights_path(out / UNFINISHED, needed.key.id).is_file()
        if not ranks.any(ranks.first and there):
            trained(needed, parent=True)
            ranks.any(False)  # no rank goes on before rank 0 has written the weights
    return trained(plan.assignment, parent=False)


def _finish(plan: Plan, out: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Write the model, then the record that says so, then remove what only an unfinished training needs."""
    assignment = plan.assignment
    spec = export(
        out / SPEC,
        Exported(
            architecture=assignment.architecture,
            num_classes=plan.classes,
            resolution=assignment.fidelity.resolution,
            cost=cost(assignment.architecture, assignment.fidelity.resolution, plan.classes),
            evaluation=evaluation,
            data=assignment.data,
            source=plan.source,
            task=assignment.task,
            detector=assignment.detector,
            fidelity=assignment.fidelity,
        ),
        artifacts=out / UNFINISHED,
        winner=[Candidate("trained", assignment.fidelity.name, evaluation)],
        baselines=[],
        provenance={"trained_by": "dcasearch train", "recipe": plan.recipe},
    )
    record = {
        **_record(plan, list(evaluation.history), status="complete"),
        "spec": SPEC,
        "weights": spec.weights.file,
        "weights_sha256": spec.weights.sha256,
        "best_epoch": evaluation.best.epoch,
        "seconds": evaluation.seconds,
        "images": evaluation.images,
        "device": evaluation.device,
        "provenance": dict(evaluation.provenance),
    }
    _write(out, record)
    shutil.rmtree(out / UNFINISHED)
    return record


def _record(plan: Plan, history: list[Epoch], *, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "evaluation": plan.assignment.key.id,
        "architecture_id": plan.assignment.architecture.id,
        "settings": plan.settings,
        "recipe": plan.recipe,
        "history": [epoch.flat() for epoch in history],
    }


def _write(out: Path, record: dict[str, Any]) -> None:
    def write(unfinished: Path) -> None:
        unfinished.write_text(json.dumps(record, indent=1), encoding="utf-8")

    write_atomically(out / RECORD, write)


def _record_of(out: Path) -> dict[str, Any] | None:
    content = read_bytes(out / RECORD)
    record: dict[str, Any] | None = None if content is None else json.loads(content)
    return record


def _is_complete(record: dict[str, Any], out: Path) -> bool:
    return record["status"] == "complete" and (out / SPEC).is_file() and (out / record["weights"]).is_file()


def _check_same(found: dict[str, Any] | None, plan: Plan, out: Path) -> None:
    if found is None or found["evaluation"] == plan.assignment.key.id:
        return
    before, now = found["settings"], json.loads(json.dumps(plan.settings))
    lines = [f"  {name}: {before.get(name)} there, {now[name]} now" for name in now if now[name] != before.get(name)]
    raise UserError(
        f"{out} holds another training:\n" + "\n".join(lines) + "\nGive another --out, or delete that folder."
    )


def _agree(ranks: Ranks, check: Callable[[], None]) -> None:
    """Let rank 0 check something, and raise on every rank what it found."""
    own: UserError | None = None
    if ranks.first:
        try:
            check()
        except UserError as error:
            own = error
    said = ranks.from_first(None if own is None else str(own).encode())
    if said is not None:
        raise own or UserError(said.decode())


@contextmanager
def _held(out: Path, ranks: Ranks) -> Iterator[None]:
    """Keep other processes from training in the folder; one that dies gives it back."""
    if not ranks.first:
        _agree(ranks, lambda: None)
        yield
        return
    with ExitStack() as stack:
        _agree(ranks, lambda: _take(out, stack))
        yield


def _take(out: Path, stack: ExitStack) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(out / ".lock", wait=False))
        for name in (SPEC, RECORD, "model.safetensors"):
            remove_leftovers(out, f"{name}.*.tmp")
        for folder in ("checkpoints", "weights"):
            remove_leftovers(out / UNFINISHED / folder)
    except BlockingIOError:
        raise UserError(f"another process trains in {out}; wait for it, or give another --out") from None
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error
