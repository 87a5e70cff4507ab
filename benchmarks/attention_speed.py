"""Forward and backward of each attention block beside timm's module of the same design, in the same place.

The place is a block of ResNet-50's third stage: maps of 14 x 14 pixels and 1,024 channels. Both sides take turns on one
tensor; the ratio is the median over the turns of ours / timm's seconds. A kind that timm lacks is measured alone.

    python benchmarks/attention_speed.py [--batch 16] [--runs 15] [--threads 2] [--only se …]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from timm.layers import create_attn
from torch import Tensor, nn

from dcasearch.architecture import KINDS
from dcasearch.models import build_model

CHANNELS, PIXELS, BLOCK = 1024, 14, "layer3_1"
TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    "se": ("se", {"rd_ratio": 1 / 16, "rd_divisor": 1}),
    "eca": ("eca", {}),
    "gc": ("gc", {"rd_ratio": 1 / 16, "rd_divisor": 1, "fuse_add": True, "fuse_scale": False}),
    "ge_theta_minus": ("ge", {"extra_params": False, "use_mlp": False}),
    "cbam": ("cbam", {"rd_ratio": 1 / 16, "rd_divisor": 1}),
    "coord": ("coord", {"rd_ratio": 1 / 32, "rd_divisor": 1}),
    "non_local": ("nl", {"rd_ratio": 1 / 2, "rd_divisor": 1}),
}


def ours(kind: str) -> Callable[[Tensor], Tensor]:
    """Return the attention of one block of a ResNet-50, as a function of the map that it gates."""
    model: Any = build_model({"backbone": {"name": "resnet50"}, "attention": {"name": kind}}).train()
    attention = model.attention[BLOCK]
    return lambda x: attention.attend(x, lambda dimension, raw, read: raw, {})[0]


def theirs(kind: str) -> nn.Module | None:
    """Return timm's module, None where it has none."""
    if kind not in TIMM:
        return None
    name, arguments = TIMM[kind]
    module: nn.Module = create_attn(name, CHANNELS, **arguments)
    return module.train()


def seconds(side: Callable[[Tensor], Tensor], x: Tensor) -> float:
    began = time.perf_counter()
    side(x).sum().backward()
    spent = time.perf_counter() - began
    x.grad = None
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x = torch.randn(options.batch, CHANNELS, PIXELS, PIXELS, requires_grad=True)
    for kind, declared in sorted(KINDS.items()):
        inside = declared.place == "block" and declared.dimensions and not declared.where
        if not inside or kind not in (options.only or KINDS):  # SK takes the place of a convolution
            continue
        sides = [side for side in (ours(kind), theirs(kind)) if side is not None]
        for side in sides:
            seconds(side, x)
        turns = [[seconds(side, x) for side in sides] for _ in range(options.runs)]
        mine = 1000 * statistics.median(turn[0] for turn in turns)
        if len(sides) == 1:
            print(f"{kind}: {mine:.1f} ms; timm has none")
            continue
        ratio = statistics.median(turn[0] / turn[1] for turn in turns)
        low, high = min(turn[0] / turn[1] for turn in turns), max(turn[0] / turn[1] for turn in turns)
        print(f"{kind}: {ratio:.2f} of timm's ({low:.2f} to {high:.2f}); {mine:.1f} ms")


if __name__ == "__main__":
    main()
