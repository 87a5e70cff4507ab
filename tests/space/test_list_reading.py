"""Every mistake in a list of architectures, at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.config import KeyPath, load_yaml
from dcasearch.errors import ConfigError
from dcasearch.space import read_space

RESNET = {"name": "resnet18"}
PLAIN = {"label": "plain", "backbone": RESNET}
SE = {"label": "SE", "backbone": RESNET, "attention": {"name": "se"}}


def mistakes(written: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    found: list[tuple[KeyPath, str]] = []
    read_space(written, lambda path, message: found.append((path, message)))
    return found


def row(**changes: Any) -> list[Any]:
    return [PLAIN, {**SE, **changes}]


CASES: dict[str, tuple[Any, KeyPath, str]] = {
    "no list": (PLAIN, (), "must be a list of architectures, each with a `label`; got"),
    "no row": ([], (), "needs at least two rows"),
    "one row": ([PLAIN], (), "needs at least two rows: one alone compares nothing"),
    "row that is a word": ([PLAIN, "se"], (1,), "must be a mapping with `label`"),
    "no label": ([PLAIN, {"backbone": RESNET, "attention": {"name": "se"}}], (1,), "needs a `label`"),
    "label that is a number": (row(label=16), (1, "label"), "must be one line of text, in quotes if it is a number"),
    "label of spaces": (row(label=" "), (1, "label"), "must be one line of text"),
    "label of two lines": (row(label="SE\nwide"), (1, "label"), "must be one line of text"),
    "label twice": (row(label="plain"), (1, "label"), "'plain' stands twice; a label names one row"),
    "network twice": (
        [PLAIN, SE, {**SE, "label": "again", "attention": {"name": "se", "reduction": 16}}],
        (2,),
        "'again' is the same network as 'SE' (id ",
    ),
    "unknown key": (row(atention={}), (1, "atention"), "'atention' is not a key of a row; did you mean 'attention'?"),
    "unknown attention": (row(attention={"name": "sse"}), (1, "attention", "name"), "did you mean 'se' or 'sge'?"),
    "wrong type": (row(attention={"name": "se", "reduction": "x"}), (1, "attention", "reduction"), "must be "),
    "impossible network": (
        row(connections={"dimensions": {"spatial": True}}),
        (1, "connections", "dimensions", "spatial"),
        "no attention block of this network has the spatial dimension",
    ),
    "against nobody": (row(against="plian"), (1, "against"), "'plian' is not a row; did you mean 'plain'?"),
    "against itself": (row(against="SE"), (1, "against"), "is the row itself"),
}


@pytest.mark.parametrize(("rows", "path", "message"), CASES.values(), ids=CASES)
def test_a_mistake_in_a_list_is_reported_where_it_stands(rows: Any, path: KeyPath, message: str) -> None:
    [(found, said)] = mistakes({"architectures": rows})
    assert found == ("architectures", *path)
    assert message in said


def test_what_stands_beside_a_list_is_a_mistake() -> None:
    [(path, said)] = mistakes({"architectures": [PLAIN, SE], "backbone": RESNET})
    assert path == ("backbone",)
    assert said == "'backbone' cannot stand beside `architectures`; write it in each row"


def test_every_mistake_of_a_list_is_reported_at_once() -> None:
    found = mistakes({"architectures": [{**PLAIN, "depth": 3}, {**SE, "attention": {"name": "sse"}, "label": 1}]})
    assert [path for path, _ in found] == [
        ("architectures", 0, "depth"),
        ("architectures", 1, "label"),
        ("architectures", 1, "attention", "name"),
    ]


def test_the_place_of_a_mistake_is_its_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "rows.yaml"
    file.write_text("architectures:\n  - {label: a, backbone: {name: resnet18}}\n  - {label: b, backbone: {name: r}}\n")
    document = load_yaml(file)
    read_space(document.data, document.report)
    [problem] = document.problems
    assert (problem.line, problem.column) == (3, 33)


def test_without_a_report_all_mistakes_are_raised() -> None:
    with pytest.raises(ConfigError, match="architectures\\.1\\.atention"):
        read_space({"architectures": row(atention={})})
