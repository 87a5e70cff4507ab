"""`dcasearch run STUDY --smoke`: how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from dcasearch.search.work import Event
    from dcasearch.space import LoadedStudy

_SHOWN = ("complete", "pruned", "infeasible", "duplicate", "failed", "lost", "note")
"""Kinds of events that are printed."""


def try_stages(console: Console, loaded: LoadedStudy) -> None:
    """Take a study through every stage on made-up images, say each stage, and what was not tested."""
    import optuna

    from dcasearch.cli.live.lines import sentence
    from dcasearch.smoke import BATCH, CLASSES, IMAGES, TRIALS, smoke, untested

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console.print(
        f"{loaded.path}: no mistakes found. Each stage is tried: {TRIALS} trials of one epoch, batches of {BATCH}, "
        f"{IMAGES} made-up images of each of {CLASSES} classes; networks, recipes and resolutions are the study's."
    )

    def observe(event: Event) -> None:
        if event.kind in _SHOWN:
            console.print(f"  {sentence(event)}")

    smoke(loaded, stage=lambda name, seconds: console.print(f"{name}: passed in {seconds:.1f} s"), observe=observe)
    console.print(f"Not tested: {'; '.join(untested(loaded.study))}. Nothing was kept.")
