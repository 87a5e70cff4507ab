"""The processes that train one network together, and what they have to agree on.

Small agreements pass over the CPU (gloo), also where gradients pass between GPUs (NCCL): so they wait for no kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dcasearch.data import Share

TIMEOUT = timedelta(hours=2)
"""How long a rank waits for the others, one of which may be copying the data to its node. That one has died is told by
its closed connection, at once; that one hangs, by the executor's time limit."""


@dataclass(frozen=True)
class Ranks:
    """One rank among those of a training; alone, every agreement is its own opinion and costs nothing.

    The default process group is there before a training starts and until it has ended; see `init_ranks`.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this rank writes the files."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """What this rank trains and measures on of each batch."""
        return Share(self.rank, self.world)

    def sizes(self, own: int) -> tuple[int, ...]:
        """Return each rank's number."""
        if self.world == 1:
            return (own,)
        found = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world)]
        dist.all_gather(found, torch.tensor([own]))
        return tuple(int(size) for size in found)

    def any(self, own: bool) -> bool:
        """Return whether it is true of any rank."""
        return any(self.sizes(int(own)))

    def gather(self, own: Any) -> list[Any]:
        """Return each rank's object, in order."""
        if self.world == 1:
            return [own]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, own)
        return found

    def from_first(self, content: bytes | None) -> bytes | None:
        """Return rank 0's bytes; what the others pass is not looked at."""
        if self.world == 1:
            return content
        size = self.sizes(-1 if content is None else len(content))[0]
        if size < 0:
            return None
        buffer = torch.empty(size, dtype=torch.uint8)
        if self.first and content:
            buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        dist.broadcast(buffer, src=0)
        return buffer.numpy().tobytes()

    def share_buffers(self, model: nn.Module) -> None:
        """Set a model's buffers, BatchNorm's running statistics, to rank 0's."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum over the ranks."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value


ALONE = Ranks()


@contextmanager
def init_ranks(address: str, rank: int, world: int, device: torch.device) -> Iterator[Ranks]:
    """Join the process group of a training and leave it at the end.

    Args:
        address: where the ranks meet: `tcp://host:port` with a free port of rank 0's machine, or `file:///path` of
            a file that does not exist yet and that all of them can reach.
        rank: from 0.
        world: the number of ranks.
        device: what this rank computes on; gradients pass over NCCL between GPUs and over gloo between CPUs.
    """
    backend = "gloo"
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, init_method=address, rank=rank, world_size=world, timeout=TIMEOUT)
    try:
        ranks = Ranks(rank, world)
        ranks.any(False)  # nobody goes on, and perhaps fails, while another still meets the rest
        yield ranks
    finally:
        dist.destroy_process_group()
