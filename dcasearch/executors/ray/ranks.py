"""The further processes of a training that several ranks share: one actor in each bundle of the trial's own group.

Tune owns the placement group, so whatever ends the trial frees every bundle at once. A rank that dies takes the
whole trial with it, which goes on from its checkpoint; nobody waits for a collective's time-out.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self, TypeVar

import ray
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from dcasearch.artifacts import open_artifacts
from dcasearch.errors import Preempted, TrialFailure
from dcasearch.executors.ray.cluster import bundles, own_address, remote
from dcasearch.executors.worker import Failed
from dcasearch.search.work import Job
from dcasearch.training import Ranks, Session
from dcasearch.training.network import choose_device
from dcasearch.training.ranks import init_ranks

Result = TypeVar("Result")
_LAST_WORDS_SECONDS = 10.0
"""How long rank 0 may take to notice by itself that another one has died."""


class _Rank:
    """One process, told by rank 0 what to do; both do the same steps in the same order."""

    def __init__(self, job: Job, artifacts: str, rank: int) -> None:
        self._job, self._artifacts, self._rank = job, artifacts, rank
        self._open = ExitStack()
        self._training: Session | None = None

    def step(self, address: str) -> Failed | None:
        """Open the training, or train the next epoch."""
        job = self._job
        try:
            if self._training is None:
                device = _device(job)
                ranks = self._open.enter_context(init_ranks(address, self._rank, job.resources.world, device))
                self._training = Session(
                    job.assignment,
                    artifacts=open_artifacts(self._artifacts),
                    threads=job.resources.threads,
                    device=device.type,
                    ranks=ranks,
                )
            else:
                self._training.next()
        except Preempted:
            return None  # all ranks give way together; rank 0 says so
        except TrialFailure as failure:
            self._open.close()  # so that the others do not wait for this one
            return Failed(failure.kind, str(failure))
        return None


class Group:
    """The ranks of a training as rank 0 sees them; where there is one rank, nothing but that."""

    def __init__(self, ranks: Ranks, others: list[Any], address: str) -> None:
        self.ranks = ranks
        self._others, self._address = others, address

    @classmethod
    @contextmanager
    def open(cls, job: Job, artifacts: str) -> Iterator[Self]:
        """Start the other ranks in the further bundles of this trial and meet them; end them at the end."""
        world = job.resources.world
        if world == 1:
            yield cls(Ranks(), [], "")
            return
        placement = get_current_placement_group()
        if placement is None:
            raise RuntimeError("several ranks need the placement group of their trial")
        share = bundles(job.resources)[0]
        others = [
            remote(
                _Rank,
                num_cpus=share["CPU"],
                num_gpus=share.get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(placement, placement_group_bundle_index=rank),
            ).remote(job, artifacts, rank)
            for rank in range(1, world)
        ]
        address = f"tcp://{own_address()}:{_free_port()}"
        try:
            with ExitStack() as stack:
                group = cls(Ranks(), others, address)
                group._meeting = [other.step.remote(address) for other in others]
                # What it raises ends this process: torch may not meet anyone again where it has failed to once.
                with _watched(group._meeting):
                    group.ranks = stack.enter_context(init_ranks(address, 0, world, _device(job)))
                yield group
        finally:
            for other in others:
                ray.kill(other)

    _meeting: list[Any] | None = None

    def lead(self, own: Callable[[], Result]) -> Result:
        """Do rank 0's part of a step while the others do theirs.

        Raises:
            TrialFailure: of whichever rank failed for a reason of its own.
        """
        if not self._others:
            return own()
        steps = self._meeting or [other.step.remote(self._address) for other in self._others]
        self._meeting = None
        try:
            with _watched(steps):
                result = own()
        except TrialFailure as failure:
            raise self._cause(steps, failure) from failure
        for failed in ray.get(steps):
            if failed is not None:
                raise TrialFailure(failed.kind, failed.message)
        return result

    def _cause(self, steps: list[Any], own: TrialFailure) -> TrialFailure:
        """Return the failure that came first: rank 0 only meets a closed connection where another rank failed."""
        ended, _ = ray.wait(steps, num_returns=len(steps), timeout=_LAST_WORDS_SECONDS)
        for step in ended:
            try:
                failed = ray.get(step)
            except ray.exceptions.RayActorError as error:
                return TrialFailure("lost", f"a rank has died: {str(error).splitlines()[0]}")
            if failed is not None and own.kind not in ("oom", "nan"):
                return TrialFailure(failed.kind, failed.message)
        return own


@contextmanager
def _watched(steps: list[Any]) -> Iterator[None]:
    """End this process if another rank dies meanwhile and rank 0 hangs in a collective that waits for it."""
    done = threading.Event()
    threading.Thread(target=_watch, args=(steps, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(steps: list[Any], done: threading.Event) -> None:
    try:
        ray.get(steps)
    except ray.exceptions.RayError:
        if not done.wait(_LAST_WORDS_SECONDS):
            os._exit(1)


def _device(job: Job) -> Any:
    return choose_device("auto" if job.resources.gpu else "cpu")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port
