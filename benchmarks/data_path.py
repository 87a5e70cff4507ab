"""Images per second: torchvision's ImageFolder with a DataLoader, our loader on the same files, and on them prepared.

Every side reads the same images (JPEG of about 500 x 375 pixels and 110 kB, as ImageNet's) with the same number of
loader processes, cuts a random-resized crop of 128 pixels, mirrors, normalises, and yields batches of 64 on the CPU.
They take turns; each ratio is the median over the turns of (images/s of ours / images/s of torchvision's). Aims:
prepared >= 8, files >= 1.3. Images are made of noise whose spectrum falls as a photograph's does, so that decoding
costs what a photograph's costs, or read from --images.

    python benchmarks/data_path.py [--images FOLDER] [--count 1500] [--turns 5] [--workers 2] [--seconds 4]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import open_loaders
from dcasearch.data.preparing import prepare
from dcasearch.gpu_check.pictures import write_pictures

RESOLUTION, SIZE, BATCH, CLASSES = 128, 144, 64, 10
SETTLE_SECONDS = 2.0
Side = Callable[[], Iterator[int]]
"""Starts an endless stream of batches; each gives its number of images."""


def torchvisions(root: Path, workers: int) -> Side:
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(RESOLUTION),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    loader = DataLoader(
        datasets.ImageFolder(str(root / "train"), transform),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
    )

    def batches() -> Iterator[int]:
        while True:
            for images, _ in loader:
                yield len(images)

    return batches


def ours(root: Path, workers: int) -> Side:
    recipe = Recipe.model_validate({"batch_size": BATCH, "augmentation": {"crop": "random_resized", "flip": True}})
    loader = open_loaders(
        Data(name="imagefolder", root=str(root), workers=workers, protocol="paper"),
        "paper",
        resolution=RESOLUTION,
        train_fraction=1.0,
        recipe=recipe,
        seed=0,
        artifacts=None,
        device=torch.device("cpu"),
    ).train

    def batches() -> Iterator[int]:
        epoch = 0
        while True:
            epoch += 1
            for images, _ in loader.epoch(epoch):
                yield len(images)

    return batches


def speed(stream: Iterator[int], seconds: float) -> float:
    """Images per second, after the first batches, which wait for the processes."""
    for _ in range(4):
        next(stream)
    images, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        images += next(stream)
    found = images / (time.perf_counter() - began)
    time.sleep(SETTLE_SECONDS)  # the processes go on until their queues are full, and would take the next side's cores
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--images", type=Path, help="train/<class>/ and test/<class>/ in place of made ones")
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = asked.images or Path(folder) / "images"
        if asked.images is None:
            write_pictures(root, asked.count, CLASSES)
        files = [path for path in (root / "train").rglob("*") if path.is_file()]
        print(f"{len(files)} images of {statistics.mean(path.stat().st_size for path in files) / 1e3:.0f} kB")
        prepared, began = Path(folder) / "prepared", time.perf_counter()
        prepare(root, prepared, size=SIZE, workers=asked.workers, max_corrupt=0.01)
        print(f"prepared at {SIZE} pixels: {len(files) / (time.perf_counter() - began):,.0f} images/s")
        sides = {
            "torchvision": torchvisions(root, asked.workers),
            "files": ours(root, asked.workers),
            "prepared": ours(prepared, asked.workers),
        }
        compare(sides, asked.turns, asked.seconds)


def compare(sides: dict[str, Side], turns: int, seconds: float) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    print("images/s     " + "".join(f"{name:>14}" for name in sides))
    for turn in range(turns):
        for name, side in sides.items():
            speeds[name].append(speed(side(), seconds))
        print(f"turn {turn + 1:<8}" + "".join(f"{values[-1]:14,.0f}" for values in speeds.values()), flush=True)
    for name, aim in (("prepared", 8.0), ("files", 1.3)):
        ratios = [our / their for our, their in zip(speeds[name], speeds["torchvision"], strict=True)]
        print(
            f"{name} / torchvision: median {statistics.median(ratios):.2f} of {turns} turns "
            f"({min(ratios):.2f} to {max(ratios):.2f}), aim >= {aim}"
        )


if __name__ == "__main__":
    main()
