"""Forward and backward of our networks beside others, and what connections cost; with peak memory.

Three pairs, each interleaved on the same input: our SE-ResNet50 against timm's seresnet50 (aim <= 1.00x),
DCA-SE against our SE (aim <= 1.03x), DCA-CBAM against our CBAM (aim <= 1.05x).

    python benchmarks/model_speed.py [--batch 8] [--runs 7] [--threads 2]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
from torch import nn

from dcasearch.models import build_model

LEARNED = {"function": "learned", "channel_matching": {"fc": {"norm_act": True}}}


def ours(attention: str, connections: Mapping[str, Any] | None = None) -> Callable[[], nn.Module]:
    spec: dict[str, Any] = {"backbone": {"name": "resnet50"}, "attention": {"name": attention, "reduction": 16}}
    return lambda: build_model({**spec, "connections": connections} if connections else spec)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "timm seresnet50": lambda: timm.create_model("seresnet50"),
    "SE-ResNet50": ours("se"),
    "DCA-SE-ResNet50": ours("se", LEARNED),
    "CBAM-ResNet50": ours("cbam"),
    "DCA-CBAM-ResNet50": ours("cbam", LEARNED),
}
PAIRS = [
    ("SE-ResNet50", "timm seresnet50", 1.00),
    ("DCA-SE-ResNet50", "SE-ResNet50", 1.03),
    ("DCA-CBAM-ResNet50", "CBAM-ResNet50", 1.05),
]


def step(model: nn.Module, images_BCHW: torch.Tensor, labels_B: torch.Tensor) -> float:
    """Return the seconds of one forward and backward."""
    began = time.perf_counter()
    nn.functional.cross_entropy(model(images_BCHW), labels_B).backward()
    seconds = time.perf_counter() - began
    model.zero_grad(set_to_none=True)
    return seconds


def peak_gigabytes(name: str, batch: int) -> float:
    """Return the peak memory of one step in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, "--batch", str(batch)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images_BCHW = torch.randn(options.batch, 3, 224, 224)
    labels_B = torch.zeros(options.batch, dtype=torch.long)
    if options.peak:
        step(MODELS[options.peak](), images_BCHW, labels_B)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        return
    peaks = {name: peak_gigabytes(name, options.batch) for name in MODELS}
    for mine, theirs, aim in PAIRS:
        a, b = MODELS[mine]().train(), MODELS[theirs]().train()
        step(a, images_BCHW, labels_B)
        step(b, images_BCHW, labels_B)
        runs = [(step(a, images_BCHW, labels_B), step(b, images_BCHW, labels_B)) for _ in range(options.runs)]
        ratio = statistics.median(x / y for x, y in runs)
        print(f"{mine} / {theirs}: {ratio:.3f} (aim <= {aim:.2f}); peak {peaks[mine]:.2f} / {peaks[theirs]:.2f} GB")
        print("  seconds: " + "  ".join(f"{x:.2f}/{y:.2f}" for x, y in runs))


if __name__ == "__main__":
    main()
