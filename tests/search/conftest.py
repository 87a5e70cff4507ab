from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.search.support import Bench
from tests.support import make_study


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **changes: Bench(tmp_path / str(len(list(tmp_path.iterdir()))), make_study(**changes))
