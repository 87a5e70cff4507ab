"""Annotations in COCO's layout of any content: taken, or refused by a sentence that names their faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.data.coco import CocoFiles, read_coco
from dcasearch.errors import DataError
from tests.data.test_coco import made, written
from tests.fuzz.damage import broken, damaged, thousand

pytestmark = pytest.mark.slow
GOOD = made()
CONTENTS = st.one_of(
    st.binary(max_size=300),
    damaged(json.dumps(GOOD).encode()),
    broken(GOOD).map(lambda document: json.dumps(document).encode()),
)


@pytest.fixture(scope="module")
def files(folder: Path) -> CocoFiles:
    return written(folder, GOOD)


@thousand
@given(content=CONTENTS)
def test_annotations_of_any_content_are_taken_or_refused(content: bytes, files: CocoFiles) -> None:
    files.annotations.write_bytes(content)
    try:
        part = read_coco(files, max_faulty=1.0, headers=True)
    except DataError as error:
        str(error).encode()
        return
    boxes: Any = part.objects.boxes
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(part) == len(set(part.names)) > 0
