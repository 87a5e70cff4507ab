from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import make_study

# A suite that a shell started in the background inherits an ignored Ctrl-C, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny study of `tests.support` as a YAML file in `tmp_path`."""

    def write(name: str = "study.yaml", **changes: Any) -> Path:
        plain = make_study(**{"artifacts": str(tmp_path / "artifacts"), **changes}).model_dump(
            mode="json", exclude_unset=True
        )
        path = tmp_path / name
        path.write_text("# tiny\n" + yaml.safe_dump(plain, sort_keys=False))
        return path

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of a GPU where there is none; they are never counted as passed."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, there is none"))
