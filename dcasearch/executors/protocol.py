"""What an executor is to the rest."""

from __future__ import annotations

from typing import Protocol

from dcasearch.search.work import Work


class Executor(Protocol):
    """Runs jobs somewhere."""

    def run(self, work: Work) -> None:
        """Return when the work has no more jobs and none is running.

        Raises:
            UserError: what stops every trial: broken data, a full disk; the job is asked for again by the next run.
            Interrupted: someone asked for it; jobs that were running are asked for again by the next run.
        """
