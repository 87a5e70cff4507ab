"""The schemas that lie beside the shipped YAML are those of the package, and every YAML names its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dcasearch.schemas import SCHEMAS, schema_text, write_schemas

ROOT = Path(__file__).parents[1]
SHIPPED = sorted([*ROOT.glob("studies/**/*.yaml"), *ROOT.glob("search_spaces/**/*.yaml")])


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_shipped_schema_is_the_package_s(kind: str) -> None:
    file = ROOT / "schemas" / f"{kind}.json"
    assert file.read_text() == schema_text(kind), f"dcasearch schema {kind} > schemas/{kind}.json"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_yaml_names_the_schema_beside_it(path: Path) -> None:
    comment = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])
    assert comment is not None
    title = json.loads((path.parent / comment[1]).read_text())["title"]
    assert title == ("Study" if path.is_relative_to(ROOT / "studies") else "Search space")


def test_schemas_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert json.loads((tmp_path / "schemas" / "space.json").read_text())["title"] == "Search space"
    (tmp_path / "schemas" / "study.json").write_text("{}")
    write_schemas(tmp_path)
    assert (tmp_path / "schemas" / "study.json").read_text() == "{}"
