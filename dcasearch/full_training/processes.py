"""The processes that torchrun started, as the ranks of one training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from dcasearch.errors import UserError
from dcasearch.training import Ranks
from dcasearch.training.ranks import init_ranks


@contextmanager
def joined(device: str, environ: Mapping[str, str]) -> Iterator[tuple[Ranks, str]]:
    """Join the other processes where torchrun started some; give this one's rank and its device.

    Args:
        device: `auto` and `cuda` are the GPU of the process's local rank.
        environ: where torchrun says RANK, WORLD_SIZE, LOCAL_RANK, and in MASTER_ADDR and MASTER_PORT where to meet.

    Raises:
        UserError: there are fewer GPUs than processes on this machine, or one GPU is named for all of them.
    """
    world = int(environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(), device
        return
    own = _own_device(device, int(environ["LOCAL_RANK"]))
    with init_ranks("env://", int(environ["RANK"]), world, torch.device(own)) as ranks:
        yield ranks, own


def _own_device(device: str, local_rank: int) -> str:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda:"):
        raise UserError(f"--device {device}: each process has its own GPU; write cuda, or leave it out")
    if device != "cuda":
        return device
    if local_rank >= torch.cuda.device_count():
        raise UserError(
            f"local rank {local_rank} has no GPU of its own, there are {torch.cuda.device_count()}: start as many "
            "processes as there are GPUs (torchrun --nproc-per-node), or give --device cpu"
        )
    return f"cuda:{local_rank}"
