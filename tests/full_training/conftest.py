from pathlib import Path

import pytest

from dcasearch.full_training import Trained
from tests.full_training.support import planned, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """A training with nothing in its way, and its folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(planned(folder), folder / "out"), folder / "out"
