"""Tiny data sets that tests write to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, seed: int, size: tuple[int, int] = (32, 32)) -> None:
    """A random picture of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_folder(root: Path, images: int = 6, size: tuple[int, int] = (32, 32), suffix: str = ".jpg") -> Path:
    """`images` per class under train/ and half as many under test/, of the classes cat, dog and eel."""
    for part, count in (("train", images), ("test", images // 2)):
        for label, name in enumerate(("cat", "dog", "eel")):
            for n in range(count):
                write_image(root / part / name / f"{n:02}{suffix}", seed=1000 * label + n, size=size)
    return root


def write_batch(path: Path, labels: list[int], seed: int = 0) -> np.ndarray:
    """A binary CIFAR-10 batch; returns its images, shape (n, 3, 32, 32)."""
    pixels = np.random.RandomState(seed).randint(0, 256, (len(labels), 3 * 32 * 32), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1).tofile(path)
    return pixels.reshape(-1, 3, 32, 32)
