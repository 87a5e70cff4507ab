"""Two processes of this machine, for tests of what two ranks do together."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from dcasearch.training import Ranks
from dcasearch.training.ranks import init_ranks


def _as_rank(rank: int, address: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    torch.set_num_threads(1)
    with init_ranks(address, rank, 2, torch.device("cpu")) as ranks:
        return function(ranks, *arguments)


class Pair:
    """Runs a module's function as ranks 0 and 1 of a fresh process group; the processes are kept between calls."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def start(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        meeting = Path(tempfile.mkdtemp()) / "meeting"
        return [self._pool.submit(_as_rank, rank, f"file://{meeting}", function, arguments) for rank in (0, 1)]

    def run(self, function: Callable[[Ranks], Any] | Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return what the function returned on each rank; it gets `Ranks`, then the arguments."""
        return [future.result(timeout=120) for future in self.start(function, *arguments)]


@contextmanager
def pair() -> Iterator[Pair]:
    main = sys.modules["__main__"]
    # A spawned process imports its parent's main module; pytest's own is no part of a test.
    with patch.object(main, "__spec__", None), patch.dict(vars(main)):
        vars(main).pop("__file__", None)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield Pair(pool)
