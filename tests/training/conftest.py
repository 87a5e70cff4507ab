from pathlib import Path

import pytest

from dcasearch.evaluation import Evaluation
from tests.training.support import make_assignment, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    """The record of `make_assignment()` and the artifact store that it was made in."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    return run(make_assignment(), artifacts), artifacts
