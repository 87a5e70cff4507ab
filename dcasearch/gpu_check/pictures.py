"""Made photographs: noise whose spectrum falls as a photograph's does, so that decoding costs what theirs costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SHAPES = ((500, 375), (500, 333), (375, 500), (500, 400), (400, 400))
"""Widths and heights, as ImageNet's."""
FALL = 1.1
"""Exponent at which amplitude falls with frequency; a photograph's is about 1."""
DISTINCT = 100
"""Further ones are these, mirrored and turned."""


def photo(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return coloured noise with a photograph's spectrum, and a sensor's grain."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.rfftfreq(512), indexing="ij"))
    frequencies[0, 0] = np.inf
    planes = []
    for _ in range(3):
        phases = generator.standard_normal((*frequencies.shape, 2)) @ (1, 1j)
        plane = np.fft.irfft2(phases / frequencies**FALL, (512, 512))
        planes.append(plane / plane.std())
    pixels = np.stack([0.8 * planes[0] + 0.4 * plane for plane in planes], 2)[:height, :width]
    grain = generator.standard_normal((height, width, 1))
    return Image.fromarray(np.clip(120 + 55 * pixels + 4 * grain, 0, 255).astype(np.uint8))


def write_pictures(root: Path, count: int, classes: int) -> None:
    """Write JPEG files of about 110 kB: `test/<class>/`, one of each class, and `train/<class>/`, the others.

    Args:
        root: a new folder.
        count: of all files.
        classes: of which each has equally many.
    """
    generator = np.random.default_rng(0)
    kept = [photo(generator, *SHAPES[n % len(SHAPES)]) for n in range(min(count, DISTINCT))]
    for n in range(count):
        # Mirrored and turned, so that few are generated and none is equal to another in the first thousand.
        image = kept[n % len(kept)].transpose(Image.Transpose(n // len(kept) % 2))
        image = image.rotate(180 * (n // len(kept) // 2 % 2)) if n >= len(kept) else image
        path = root / ("test" if n < classes else "train") / f"class{n % classes}" / f"{n:05}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90 - n // len(kept) % 3)
