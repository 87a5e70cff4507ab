from __future__ import annotations

import io

import pytest
from PIL import Image

from dcasearch.interpretation.confusion import confusion_figure
from tests.export.test_answers import answers


@pytest.mark.parametrize(("classes", "named"), [(5, True), (30, True), (101, False)])
def test_classes_have_names_as_long_as_they_can_be_read(classes: int, named: bool) -> None:
    drawn = confusion_figure(answers(20 * classes, classes)[0])
    assert (">c3<" in drawn.svg) is named
    assert "share of the true class" in drawn.svg
    width, height = Image.open(io.BytesIO(drawn.png)).size
    assert 700 < width < 3000
    assert 600 < height < 3000


def test_a_figure_drawn_again_is_equal() -> None:
    made, _ = answers(50, 3)
    assert confusion_figure(made) == confusion_figure(made)
