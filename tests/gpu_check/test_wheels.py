"""What a machine without a network lacks."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

WHEELS: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gpu" / "wheels.py"))


def test_all_that_is_required_is_fetched_but_for_torch_and_ray() -> None:
    names = WHEELS["missing"]({}, ())
    assert {"optuna", "sqlalchemy", "pydantic", "pydantic-core", "typer", "rich", "click"} - set(names) <= {"click"}
    assert not {"torch", "torchvision", "ray"} & set(names)


def test_what_is_there_stays_unless_its_version_is_not_allowed(tmp_path: Path) -> None:
    listed = tmp_path / "there.txt"
    listed.write_text("# a comment\nOptuna==4.0\nrich==14.1\nPyYAML\ntenacity\n")
    names = WHEELS["missing"](WHEELS["there"](listed), ("tenacity",))
    assert "optuna" in names
    assert not {"rich", "pyyaml"} & set(names)
    assert "tenacity" in names
