"""How large a network may be that a file asks for: counted before it is built."""

from __future__ import annotations

import resource

import pytest

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.models.limit import refuse_large
from dcasearch.models.max_params import VARIABLE, max_params

HUGE = Architecture.parse({"backbone": {"name": "resnet152", "width": 60.0}})


def test_a_huge_network_is_refused_by_its_count_and_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"has \d{3},\d{3},\d{3},\d{3} parameters; at most 2,000,000,000 are built"):
        refuse_large(HUGE, 224, 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_a_network_beyond_what_torch_counts_is_refused_too() -> None:
    wider = Architecture.parse({"backbone": {"name": "resnet18", "width": 1e9}}, stored=True)
    with pytest.raises(UserError, match="larger than can be counted"):
        refuse_large(wider, 224, 1000)


def test_the_limit_is_said_by_the_environment_with_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1.5T")
    assert max_params() == 1.5e12
    refuse_large(HUGE, 224, 1000)


@pytest.mark.parametrize("said", ["", "many", "-1", "0", "nan"])
def test_a_limit_that_is_no_number_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(UserError, match=VARIABLE):
        max_params()
