from __future__ import annotations

import io

import numpy as np
from PIL import Image

from dcasearch.proposal.copies import groups_of_copies, thumbnail
from tests.proposal.conftest import picture


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def test_a_picture_resized_or_compressed_anew_is_a_near_copy() -> None:
    images = [picture(n) for n in range(8)]
    images += [compressed(images[2]), images[2].resize((300, 260)), images[5].convert("L")]
    assert groups_of_copies([thumbnail(image) for image in images]) == [[2, 8, 9], [5, 10]]


def test_different_pictures_are_no_copies_however_many() -> None:
    assert groups_of_copies([thumbnail(picture(n)) for n in range(1500)]) == []


def test_a_brighter_picture_of_the_same_outline_is_no_copy() -> None:
    dark = np.asarray(picture(0), dtype=np.float32) / 2
    bright = Image.fromarray((dark + 60).astype(np.uint8))
    assert groups_of_copies([thumbnail(Image.fromarray(dark.astype(np.uint8))), thumbnail(bright)]) == []


def test_images_of_one_colour_are_no_copies() -> None:
    flat = [thumbnail(Image.new("RGB", (50, 50), (level, level, level))) for level in (10, 10, 200)]
    assert groups_of_copies(flat) == []
    assert groups_of_copies([]) == []
