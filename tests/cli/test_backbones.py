from __future__ import annotations

import json

from dcasearch.architecture.measured import CHECKS, measured
from tests.cli.conftest import Command


def test_the_networks_that_were_tried_are_listed_with_what_was_checked(dcasearch: Command) -> None:
    shown = dcasearch("backbones")
    assert shown.code == 0
    assert all(row.name in shown.out for row in measured())
    works = sum(row.works for row in measured())
    assert f"{works} of {len(measured())} pass every check" in shown.out
    assert all(said in shown.out for said in CHECKS.values())
    assert "Prepared by this package: mnasnet0_5" in shown.out


def test_one_family_alone(dcasearch: Command) -> None:
    shown = dcasearch("backbones", "--family", "regnet")
    assert "timm/regnetx_002" in shown.out
    assert "convmixer" not in shown.out


def test_programs_read_all_columns(dcasearch: Command) -> None:
    rows = json.loads(dcasearch("backbones", "--json", "--family", "convmixer").out)
    assert [row["name"] for row in rows] == ["timm/convmixer_768_32"]
    assert rows[0]["blocks"] == 32


def test_an_unknown_family_is_answered_with_the_nearest(dcasearch: Command) -> None:
    shown = dcasearch("backbones", "--family", "regnett")
    assert shown.code == 2
    assert "did you mean 'regnet'?" in shown.err
