"""Networks of libraries under generated code beside the library's own forward pass, with nothing inserted.

Forward and backward at 128 pixels, interleaved on one input (aim: median ratio <= 1.03); then the seconds that building
on the meta device, tracing, finding the blocks and hashing take, once per network and process (aim: <= 3 s).

    python benchmarks/any_cnn_speed.py [--batch 8] [--runs 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
import time

import torch
from torch import nn

from dcasearch.architecture import LibraryNetwork
from dcasearch.models import build_model
from dcasearch.models.traced import trace_of

NETWORKS = ("timm/efficientnet_lite0", "timm/convnext_atto", "timm/regnety_002", "torchvision/mobilenet_v3_small")


def step(model: nn.Module, images_BCHW: torch.Tensor, labels_B: torch.Tensor) -> float:
    """Return the seconds of one forward and backward."""
    began = time.perf_counter()
    nn.functional.cross_entropy(model(images_BCHW), labels_B).backward()
    seconds = time.perf_counter() - began
    model.zero_grad(set_to_none=True)
    return seconds


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[-51]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images_BCHW = torch.randn(options.batch, 3, 128, 128)
    labels_B = torch.zeros(options.batch, dtype=torch.long)
    for name in NETWORKS:
        began = time.perf_counter()
        trace_of(LibraryNetwork(name))
        traced = time.perf_counter() - began
        ours = build_model({"backbone": {"name": name}}).train()
        theirs = copy.deepcopy(ours.backbone).train()
        for model in (ours, theirs):
            step(model, images_BCHW, labels_B)
        pairs = [(step(ours, images_BCHW, labels_B), step(theirs, images_BCHW, labels_B)) for _ in range(options.runs)]
        ratios = [mine / other for mine, other in pairs]
        low, high = interval(ratios)
        rate = options.batch / statistics.median(mine for mine, _ in pairs)
        print(
            f"{name}: {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}), {rate:.0f} images/s; "
            f"traced in {traced:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
