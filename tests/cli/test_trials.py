from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def storage(dcasearch: Command, write_study: Callable[..., Path], simulated: None, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    assert dcasearch("run", write_study(storage=url)).code == 0
    return url


def test_trials_are_listed_chosen_and_sorted(dcasearch: Command, storage: str) -> None:
    done = dcasearch("trials", "tiny", "--storage", storage, "--where", "state=complete", "--sort", "-top1")
    assert done.code == 0, done.err
    _, head, *rows, last = done.out.splitlines()
    assert head.split()[:5] == ["fidelity", "trial", "state", "network", "top-1"]
    assert "SE r=" in rows[0]
    assert last.endswith(" trials; every column: --csv or --json")


def test_every_column_comes_as_csv_and_json(dcasearch: Command, storage: str) -> None:
    shown = dcasearch("trials", "tiny", "--storage", storage, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    plain = json.loads(dcasearch("trials", "tiny", "--storage", storage, "--json").out)
    assert [int(row["trial"]) for row in rows] == [row["trial"] for row in plain] == list(range(len(plain)))
    assert {row["state"] for row in rows} == {row["state"] for row in plain}
    assert rows[0].keys() == plain[0].keys()


def test_no_trial_is_no_error_and_a_wrong_column_is(dcasearch: Command, storage: str) -> None:
    none = dcasearch("trials", "tiny", "--storage", storage, "--where", "top1>1000")
    assert (none.code, none.out.splitlines()[-1]) == (0, "0 trials; every column: --csv or --json")
    wrong = dcasearch("trials", "tiny", "--storage", storage, "--sort", "stat")
    assert wrong.code == 2
    assert "'stat' is not a column; did you mean 'state'" in wrong.err
