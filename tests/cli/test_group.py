"""Slips in commands and options are answered with what was meant; other words with nothing."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dcasearch.cli.commands import app


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["chekc", "x.yaml"], "No such command 'chekc'; did you mean 'check'?"),
        (["db", "upgrad"], "No such command 'upgrad'; did you mean 'upgrade'?"),
        (["verify", "a.yaml", "--dta", "d"], "No such option: --dta (Possible options: --data)"),
        (["paper", "tables", "--rowz"], "No such option: --rowz"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(line: list[str], said: str) -> None:
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("line", [["foo"], ["evaluate", "a.yaml", "--root", "d"], ["data", "zip"]])
def test_another_word_is_answered_with_no_guess(line: list[str]) -> None:
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2
    assert "No such" in done.output
    assert "did you mean" not in done.output
    assert "Possible" not in done.output
