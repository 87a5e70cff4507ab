"""Runs jobs in this very process, one after another: for what is over in a minute."""

from __future__ import annotations

from dcasearch.artifacts import Place
from dcasearch.errors import TrialFailure
from dcasearch.search.work import Work


class InlineExecutor:
    """The simplest executor there can be: no workers, no interruption, the CPU."""

    def __init__(self, artifacts: Place, threads: int) -> None:
        self._artifacts, self._threads = artifacts, threads

    def run(self, work: Work) -> None:
        """Run every job of the work."""
        from dcasearch.training import evaluate  # imports torch

        while (job := work.ask()) is not None:
            work.started(job)
            try:
                record = evaluate(
                    job.assignment,
                    artifacts=self._artifacts,
                    report=lambda epoch, job=job: work.report(job, epoch),  # type: ignore[misc]  # its default is the job
                    threads=self._threads,
                    device="cpu",
                )
            except TrialFailure as failure:
                work.fail(job, failure)
            else:
                work.finish(job, record)
