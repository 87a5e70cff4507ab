from pathlib import Path

import pytest

from dcasearch.evaluation import Evaluation
from tests.training.support import make_task, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    """The record of `make_task()` and the artifact store that it was made in."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    return run(make_task(), artifacts), artifacts
