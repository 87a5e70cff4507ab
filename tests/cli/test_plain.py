from __future__ import annotations

from dcasearch.cli.plain import as_json as plain
from tests.cli.test_standing import of_classes


def test_classes_are_in_the_json_of_those_who_have_them_alone() -> None:
    leader = plain(of_classes(2))["fidelities"][0]["leader"]
    assert leader["of_classes"] == {"class00": (0.0, 2.0), "class01": (10.0, 12.0)}
    assert "of_classes" not in plain(of_classes(0))["fidelities"][0]["leader"]
