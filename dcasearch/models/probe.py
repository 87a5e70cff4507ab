"""A batch of images made from a seed, equal on every machine and under every version, and what a network answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dcasearch.config.probe import Probe
from dcasearch.errors import UserError

SHOWN = 16
"""Logits per image that are written out; the norm covers the others."""
SEED, IMAGES = 0, 2
_TINY = 1e-30


def probe_batch(seed: int, images: int, resolution: int) -> Tensor:
    """Return uniform noise of unit variance, shape (images, 3, resolution, resolution), fp32.

    It comes from Python's own generator, whose stream is promised never to change; PyTorch's is not.
    """
    generator = random.Random(seed)
    count = images * 3 * resolution * resolution
    noise = torch.tensor([generator.random() for _ in range(count)], dtype=torch.float64)
    return ((2 * noise - 1) * math.sqrt(3)).float().view(images, 3, resolution, resolution)


@torch.no_grad()
def ask(
    model: nn.Module,
    resolution: int,
    seed: int = SEED,
    images: int = IMAGES,
    answers: Callable[[nn.Module, Tensor], Tensor] | None = None,
) -> Probe:
    """Return what a network on the CPU answers in evaluation mode; its mode is put back afterwards.

    Args:
        model: the network.
        resolution: pixels per side of the images.
        seed: of the images.
        images: how many.
        answers: returns a network's answers to images, shape (images, n); None: the network's outputs.

    Raises:
        UserError: an answer is no finite number; such a network can be compared with none.
    """
    training = model.training
    model.eval()
    batch = probe_batch(seed, images, resolution)
    logits = model(batch) if answers is None else answers(model, batch)
    model.train(training)
    if not logits.isfinite().all():
        raise UserError("the network's answers are no finite numbers (nan or infinite): its weights overflow")
    return Probe(
        seed=seed,
        images=images,
        logits=tuple(map(_digits, logits[:, :SHOWN].tolist())),
        norms=_digits(logits.norm(dim=1).tolist()),
    )


def _digits(numbers: list[float]) -> tuple[float, ...]:
    """Return the nine digits that tell any two fp32 numbers apart."""
    return tuple(float(f"{number:.9g}") for number in numbers)


def difference(expected: Probe, got: Probe) -> float:
    """Return the largest difference of two answers, relative to the largest logit and to each norm."""
    expected_BK, got_BK = torch.tensor(expected.logits), torch.tensor(got.logits)
    if expected_BK.shape != got_BK.shape:
        return math.inf
    off = (expected_BK - got_BK).abs().max() / expected_BK.abs().max().clamp_min(_TINY)
    norms_B = torch.tensor(expected.norms)
    norms_off = ((norms_B - torch.tensor(got.norms)).abs() / norms_B.clamp_min(_TINY)).max()
    return float(torch.maximum(off, norms_off))
