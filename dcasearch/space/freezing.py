"""Whether the networks of a space have the stages that a recipe freezes."""

from __future__ import annotations

from dcasearch.config import Document
from dcasearch.config.study import Study
from dcasearch.space.space import Space


def check_freezing(study: Study, space: Space, document: Document) -> None:
    """Report fidelities whose recipe freezes more stages than some network of the space has."""
    wanted = {n: len(f.recipe.freeze) - 1 for n, f in enumerate(study.fidelities) if f.kind == "training"}
    if max(wanted.values(), default=0) <= 0:
        return
    fewest = min(layout.stages for layout in space.layouts())
    for n, stages in wanted.items():
        if stages > fewest:
            message = f"freezes {stages} stages, and a backbone of the space has {fewest}"
            document.report(("fidelities", n, "recipe", "freeze"), message)
