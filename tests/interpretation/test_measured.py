from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcasearch.export.evaluating import Examined, examine
from dcasearch.interpretation.measured import mistakes_sheet
from tests.data.support import write_folder
from tests.export.test_evaluating import foreign


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Examined:
    folder = tmp_path_factory.mktemp("measured")
    return examine(foreign(folder, 3), write_folder(folder / "images", images=20, suffix=".png"), workers=0)


def test_mistakes_are_drawn_above_their_words_the_most_confident_first(seen: Examined) -> None:
    assert seen.answers is not None
    said = (seen.answers.labels + 1) % 3
    probabilities = np.linspace(0.4, 0.9, len(said))
    sheet = mistakes_sheet(replace(seen, answers=replace(seen.answers, said=said, probabilities=probabilities)))
    assert sheet is not None
    assert sheet.width == 12 + 5 * 212  # 25 of the 30 mistakes
    first = Image.open(Path(seen.answers.names[-1])).resize((200, 200), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(sheet)[12:212, 12:212], np.asarray(first))


def test_without_a_mistake_there_is_no_sheet(seen: Examined) -> None:
    assert seen.answers is not None
    assert mistakes_sheet(replace(seen, answers=replace(seen.answers, said=seen.answers.labels))) is None
