"""How a driver reaches its workers while an epoch runs: they listen to one small actor of the driver's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from typing import Any

import ray

from dcasearch.executors.ray.cluster import remote

_LISTENERS = 100_000
NAMESPACE = "dcasearch"


class _Board:
    """Holds which jobs shall end; every worker waits for its next change."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._version = 0
        self._changed = asyncio.Condition()

    async def end(self, jobs: list[str]) -> None:
        async with self._changed:
            self._ended.update(jobs)
            self._version += 1
            self._changed.notify_all()

    async def next(self, seen: int) -> tuple[int, set[str]]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._version > seen)
            return self._version, set(self._ended)


class Signals:
    """The driver's side."""

    def __init__(self) -> None:
        self.name = f"dcasearch-{uuid.uuid4().hex}"
        board = remote(_Board, num_cpus=0, max_concurrency=_LISTENERS, name=self.name)
        self._board = board.remote()

    def end(self, jobs: list[str]) -> None:
        """Tell the workers of these jobs to write a checkpoint and give way."""
        self._board.end.remote(jobs)

    def close(self) -> None:
        """End the board; whoever still listens is done."""
        ray.kill(self._board)


class Listener:
    """A worker's side: knows whether its job shall end. One thread waits, however many jobs pass."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ended: set[str] = set()
        self._orphan = False
        board = ray.get_actor(name, namespace=NAMESPACE)
        threading.Thread(target=self._listen, args=(board,), daemon=True).start()

    def shall_end(self, job: str) -> bool:
        """Whether the driver wants this job to give way, or is gone."""
        return self._orphan or job in self._ended

    def _listen(self, board: Any) -> None:
        seen = 0
        with contextlib.suppress(ray.exceptions.RayError):  # the driver is gone, and with it the board
            while True:
                seen, self._ended = ray.get(board.next.remote(seen))
        self._orphan = True
