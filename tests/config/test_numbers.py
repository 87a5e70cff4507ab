from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from dcasearch.bounds import STORED
from dcasearch.config.numbers import MAX_TRIALS, Human, Seed, parse_number
from dcasearch.config.study import Study
from tests.config.support import good


@pytest.mark.parametrize(
    ("written", "value"),
    [("5.0M", 5e6), ("5 M", 5e6), ("262k", 262e3), ("4G", 4e9), ("1.5T", 1.5e12), (3, 3.0), (2.5, 2.5)],
)
def test_numbers_may_have_units(written: object, value: float) -> None:
    assert TypeAdapter(Human).validate_python(written) == value


@pytest.mark.parametrize("written", ["5Q", "M", "five", "5 000 M M", "-5M", "1.2.3M"])
def test_what_is_no_number_stays_what_it_is_and_is_refused(written: str) -> None:
    assert parse_number(written) == written
    with pytest.raises(ValidationError):
        TypeAdapter(Human).validate_python(written)


def test_what_a_database_holds_is_read_without_the_limits() -> None:
    stored = good().model_dump(mode="json")
    stored["name"], stored["sampler"]["seed"] = "n" * 300, 2**70
    with pytest.raises(ValidationError, match="at most 255"):
        Study.model_validate_json(json.dumps(stored))
    assert Study.model_validate_json(json.dumps(stored), context=STORED).sampler.seed == 2**70


def test_the_seeds_after_the_largest_one_fit_a_database_and_a_stored_one_is_taken_as_it_is() -> None:
    seeds = TypeAdapter(Seed)
    largest = 2**63 - 1 - MAX_TRIALS
    assert seeds.validate_python(largest) + MAX_TRIALS < 2**63
    with pytest.raises(ValidationError, match=f"less than or equal to {largest}"):
        seeds.validate_python(largest + 1)
    assert seeds.validate_python(2**63 - 1, context=STORED) == 2**63 - 1
