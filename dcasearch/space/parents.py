"""The vanilla networks that a space's architectures start from, under `initialize: vanilla`."""

from __future__ import annotations

from dcasearch.architecture import Architecture, ConnectionFunction, alpha_of_vanilla
from dcasearch.config import Document
from dcasearch.config.initialization import Initialization
from dcasearch.config.recipe import KEEPS
from dcasearch.config.study import Fidelity, Study
from dcasearch.space.space import Space


def parents_of(space: Space, most: int) -> tuple[Architecture, ...] | None:
    """Return the distinct architectures of a space without its connections; None where there are more than `most`."""
    found: dict[str, Architecture] = {}
    for architecture in space.vanillas():
        found.setdefault(architecture.id, architecture)
        if len(found) > most:
            return None
    return tuple(found.values())


def settle_initialization(study: Study, space: Space, document: Document) -> tuple[Study, tuple[str, ...]]:
    """Return the study as it will be trained, and what its user should know of it.

    A fidelity whose space has too many parents is trained from scratch, for as many epochs as a parent and its child
    together. Functions that cannot start as their parent are reported as mistakes, unless the jump is allowed.
    """
    settled, notes = list(study.fidelities), list[str]()
    for n, fidelity in enumerate(study.fidelities):
        if may_be_constant(space):
            _check_constants(n, fidelity, document)
        if fidelity.parent is None:
            continue
        jumps = sorted({_words(function) for function in space.functions() if alpha_of_vanilla(function) is None})
        if jumps and not fidelity.initialize.allow_jump:
            document.report(
                ("fidelities", n, "initialize"),
                f"{', '.join(jumps)}: no α makes such a network its vanilla parent, so it would not start where the "
                "others do; leave it out of the space, or write {name: vanilla, allow_jump: true}",
            )
        if parents_of(space, fidelity.initialize.max_parents) is None:
            settled[n], note = _from_scratch(fidelity)
            notes.append(note)
            if fidelity.recipe.needs_start and settled[n].initialize == Initialization():
                document.report(("fidelities", n, "initialize"), f"{note}. But {KEEPS}; raise max_parents")
    return study.model_copy(update={"fidelities": tuple(settled)}), tuple(notes)


def may_be_constant(space: Space) -> bool:
    """Return whether a message of some architecture is constant: it is measured in a trained vanilla parent."""
    return "constant" in space.messages()


def _check_constants(n: int, fidelity: Fidelity, document: Document) -> None:
    """Report a fidelity in which constant messages cannot be measured."""
    if fidelity.kind == "zero_cost":
        document.report(
            ("fidelities", n, "kind"),
            "message: constant is measured in the trained vanilla parent, and a score trains nothing; leave one out",
        )
    elif fidelity.parent is not None:
        document.report(
            ("fidelities", n, "initialize"),
            "message: constant is measured in a vanilla parent that is trained from scratch; leave one out",
        )


def _words(function: ConnectionFunction) -> str:
    return f"{function.name} ({function.form})" if function.form == "literal" else function.name


def _from_scratch(fidelity: Fidelity) -> tuple[Fidelity, str]:
    epochs = fidelity.epochs + (fidelity.initialize.epochs or fidelity.epochs)
    start = "scratch" if fidelity.initialize.weights is None else "the weights file alone"
    note = (
        f"{fidelity.name}: the space has more than {fidelity.initialize.max_parents} vanilla parents "
        f"(initialize.max_parents), so its networks are trained from {start}, {epochs} epochs each"
    )
    return fidelity.model_copy(update={"epochs": epochs, "initialize": fidelity.initialize.of_parent}), note
