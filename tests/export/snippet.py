"""The code of docs/data.md that prepares an image as a spec says: what a user copies is what the tests run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def documented() -> dict[str, Any]:
    """The names that the documented code defines."""
    section = DOCS.read_text(encoding="utf-8").split("## In your own code")[1]
    match = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert match is not None
    names: dict[str, Any] = {}
    exec(compile(match[1], str(DOCS), "exec"), names)
    return names


prepare: Callable[[Image.Image, dict[str, Any]], Tensor] = documented()["prepare"]
predict: Callable[[str, str], str] = documented()["predict"]
