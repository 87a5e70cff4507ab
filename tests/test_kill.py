"""A real run that is killed or asked to end at random moments: its ledger equals an undisturbed run's, bit for bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dcasearch.analysis.wholeness import Rows, broken_invariants, differences, ledger_of
from dcasearch.store import Store
from tests.chaos.support import write_study

EXIT_CODES = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}


def start(folder: Path) -> subprocess.Popen[str]:
    file = write_study(
        folder / "study.yaml", storage=f"sqlite:///{folder}/study.db", artifacts=str(folder / "artifacts")
    )
    command = [sys.executable, "-m", "dcasearch", "run", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ledger(folder: Path) -> Rows:
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        assert broken_invariants(store, "killed") == []
        return ledger_of(store, "killed")


def killed_run(folder: Path, sent: signal.Signals, lives: Callable[[], float], kills: int) -> int:
    """Run a study to its end, killing it up to `kills` times on the way; return how often it was killed.

    `lives` draws the seconds after which it is killed.
    """
    done = 0
    while True:
        run = start(folder)
        try:
            output, _ = run.communicate(timeout=lives() if done < kills else None)
        except subprocess.TimeoutExpired:
            run.send_signal(sent)
            output, _ = run.communicate()
            assert run.returncode == EXIT_CODES[sent], output
            assert "Traceback" not in output
            done += 1
            continue
        assert run.returncode == 0, output
        return done


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "kills"), [(signal.SIGKILL, 20), (signal.SIGINT, 4), (signal.SIGTERM, 4)])
def test_a_run_that_is_killed_at_random_moments_ends_with_the_ledger_of_an_undisturbed_one(
    sent: signal.Signals, kills: int, tmp_path: Path
) -> None:
    began = time.monotonic()
    undisturbed = start(tmp_path / "undisturbed")
    output, _ = undisturbed.communicate()
    seconds = time.monotonic() - began
    assert undisturbed.returncode == 0, output
    expected = ledger(tmp_path / "undisturbed")
    moments = random.Random(f"kill {sent}")
    done = 0
    while done < kills:  # a run that ends before its last kill is followed by another one
        folder = tmp_path / f"killed after {done}"
        done += killed_run(folder, sent, lambda: moments.uniform(0.5, seconds / 3), kills - done)
        assert differences(expected, ledger(folder)) == []
