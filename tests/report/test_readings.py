from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dcasearch.errors import UserError
from dcasearch.report.readings import Reading, keep, kept, plain, to_json

READING = Reading(
    name="drift",
    title="How far the focus moves",
    says=("Images: 300 of <digits>.",),
    columns=("network", "mean"),
    rows=(("a − b", "0.120 (0.100 to 0.140)"),),
    svg="<svg xmlns='http://www.w3.org/2000/svg'/>",
    caption="1 is a focus that does not move.",
    provenance={"torch": "2.14", "device": "cpu"},
    numbers={"networks": [{"value": None}]},
)


def test_a_reading_is_kept_beside_the_artifacts_of_its_study_alone(tmp_path: Path) -> None:
    assert kept(tmp_path, "tiny") == []
    keep(READING, tmp_path, "tiny")
    later = replace(READING, title="later")
    keep(later, tmp_path, "tiny")
    keep(replace(READING, name="contributions"), tmp_path, "tiny")
    assert kept(tmp_path, "tiny") == [replace(READING, name="contributions"), later]
    assert kept(tmp_path, "other") == []


def test_a_reading_of_another_version_is_named_with_the_command_that_makes_it_anew(tmp_path: Path) -> None:
    place = keep(READING, tmp_path, "tiny")
    place.write_text(json.dumps({**json.loads(place.read_text()), "format": 99}))
    with pytest.raises(UserError, match="run `dcasearch drift --study tiny` again"):
        kept(tmp_path, "tiny")


def test_json_for_programs_has_every_number_and_no_figure() -> None:
    written = json.loads(to_json(READING))
    assert written["numbers"] == READING.numbers
    assert "svg" not in written


def test_a_number_that_is_not_known_is_null() -> None:
    assert plain({"a": (float("nan"), 1.0), "b": [None, "x"]}) == {"a": [None, 1.0], "b": [None, "x"]}
