"""Tables of finished trainings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dcasearch.errors import UserError
from dcasearch.replay.table import Table, append, read_table, reliability
from tests.replay.support import row


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_one_kept(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(file.read_bytes() + b'{"of":"half')
    one = row("another", "long", 7, 4, 1.0)
    append(copy, [one])
    assert set(read_table(copy).rows) - set(read_table(file).rows) == {("another", "long", 7)}


def test_what_is_no_table_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    with pytest.raises(UserError, match="no table"):
        read_table(tmp_path / "x")


def test_a_table_that_does_not_hang_together_is_told(file: Path, tmp_path: Path) -> None:
    head, *rest = (json.loads(line) for line in file.read_text().splitlines())
    study, row = head["study"], next(line for line in rest if line.get("fidelity") == "long")
    bare = {name: value for name, value in study.items() if name != "fidelities"}
    once = ("values", "losses", "seconds")
    mistakes = {
        "study.fidelities: Field required": [{**head, "study": bare}, *rest],
        "study.space: ": [{**head, "study": {**study, "space": {"backbone": {"name": "resnet999"}}}}, *rest],
        "truth: 'none' is none of its fidelities: proxy, warm, long": [{**head, "truth": "none"}, *rest],
        "it has no architecture": [head],
        "another number of epochs": [head, *rest, {**row, "seed": 7} | {key: [1.0] for key in once}],
        "needs as many seconds": [head, *rest, {**row, "seconds": [1.0]}],
        "values: Tuple should have at least 1 item": [head, *rest, {**row, "values": []}],
    }
    for said, lines in mistakes.items():
        path = tmp_path / "odd.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(UserError, match=re.escape(said)):
            read_table(path)


def test_regret_is_0_at_the_best_and_1_at_the_median(table: Table) -> None:
    values = table.truth
    assert table.regret(max(values, key=values.__getitem__)) == 0
    assert np.median([table.regret(id) for id in values]) == pytest.approx(1)


def test_reliability_is_that_of_the_mean_and_knows_no_seed_effect() -> None:
    random = np.random.default_rng(0)
    effect, noise, seeds = random.normal(size=(4000, 1)), random.normal(size=(4000, 4)), np.array([0.0, 5, 10, 20])
    assert reliability(effect + noise + seeds) == pytest.approx(4 / 5, abs=0.02)  # Spearman-Brown of 1/2
    assert reliability(effect) is None


def test_a_table_that_is_not_there_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.jsonl cannot be read: No such file"):
        read_table(tmp_path / "x.jsonl")


def test_another_json_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"name": "x"}\n')
    with pytest.raises(UserError, match="no table of trainings"):
        read_table(tmp_path / "x.jsonl")
