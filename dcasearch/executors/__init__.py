"""Where jobs run. An executor drives a `dcasearch.search.work.Work` to its end; it decides nothing about trials."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dcasearch.artifacts import open_artifacts
from dcasearch.config.study import Resources, Study
from dcasearch.executors.local import LocalExecutor
from dcasearch.executors.protocol import Executor

__all__ = ["Executor", "LocalExecutor", "open_executor"]


@contextmanager
def open_executor(
    study: Study,
    *,
    name: str | None = None,
    interrupted: threading.Event | None = None,
    secret: str | None = None,
) -> Iterator[Executor]:
    """Open the executor that a study names, with its workers, and end them at the end.

    Args:
        study: whose jobs will run.
        name: `local` or `ray`, in place of the study's.
        interrupted: ends the run when it is set; checkpoints are written first.
        secret: the storage's password, which no worker may see.

    Raises:
        UserError: there is no cluster at the study's address, or none of its nodes can hold a trial.
    """
    settings = study.executor
    if (name or settings.name) == "ray":
        from dcasearch.executors.ray import RayExecutor, refuse_unholdable  # ray is imported by those who use it

        with RayExecutor(str(open_artifacts(study.artifacts)), settings, interrupted).open(secret) as ray_executor:
            refuse_unholdable(study)
            yield ray_executor
        return
    concurrent = settings.max_concurrent
    if settings.name != "local":  # meant for a cluster: here there is room for fewer
        needed = max((settings.resources.get(f.name, Resources()).cpu for f in study.fidelities), default=1)
        concurrent = max(1, min(concurrent, (os.cpu_count() or 1) // needed))
    with LocalExecutor(open_artifacts(study.artifacts), concurrent, interrupted, secret).open() as local:
        yield local
