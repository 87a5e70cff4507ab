"""Image files of any content: read, or unreadable with a reason; never anything else, never a large memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dcasearch.data.images import LARGEST_ASPECT, LARGEST_PIXELS, Unreadable, read_rgb
from dcasearch.data.reading import READINGS, Reading
from tests.fuzz.damage import damaged, thousand

pytestmark = pytest.mark.slow
FORMATS = {"PNG": "RGBA", "JPEG": "RGB", "TIFF": "RGB", "WEBP": "RGBA", "GIF": "P", "BMP": "RGB", "PPM": "L"}


def picture(format: str) -> bytes:
    """Return a small image file of a format."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 4), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(FORMATS[format]).save(content, format)
    return content.getvalue()


PICTURES = {format: picture(format) for format in FORMATS}
CONTENTS = st.one_of(
    st.binary(max_size=400), st.sampled_from(sorted(FORMATS)).flatmap(lambda name: damaged(PICTURES[name]))
)


@thousand
@given(content=CONTENTS, reading=st.sampled_from(list(READINGS.values())))
def test_an_image_file_of_any_content_is_read_or_unreadable(content: bytes, reading: Reading, folder: Path) -> None:
    path = folder / "a.png"
    path.write_bytes(content)
    try:
        image = read_rgb(path, reading)
    except Unreadable:
        return
    assert image.mode == "RGB"
    assert image.width * image.height <= LARGEST_PIXELS
    assert max(image.size) <= LARGEST_ASPECT * min(image.size)
