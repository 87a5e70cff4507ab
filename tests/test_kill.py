"""kill -9 of a real run at random moments: the ledger in the end is that of an undisturbed run, to the last bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from dcasearch.store import Store

STUDY: dict[str, Any] = {
    "name": "killed",
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": ["se", "cbam"], "reduction": [4, 8]},
        "connections": {
            "granularity": "stage",
            "dimensions": {"channel": [True, False]},
            "topology": ["chain", "dense"],
            "function": ["direct", "weighted"],
        },
    },
    "data": {"name": "digits"},
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "sampler": {"name": "tpe", "seed": 3, "startup": 4},
    "fidelities": [
        {
            "name": "proxy",
            "trials": 8,
            "resolution": 16,
            "epochs": 4,
            "train_fraction": 0.3,
            "recipe": {"batch_size": 64, "lr": 0.05, "bn_momentum": 0.1},
            "pruner": {"name": "successive_halving", "startup": 2, "reduction_factor": 2},
        },
        {
            "name": "full",
            "promote": {"top": 2, "by": "pareto", "random": 1},
            "resolution": 16,
            "epochs": 3,
            "recipe": {"batch_size": 64, "lr": 0.05, "bn_momentum": 0.1},
        },
    ],
    "final": {"seeds": [7]},
}


EXIT_CODES = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}


def start(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    study = {**STUDY, "storage": f"sqlite:///{folder}/study.db", "artifacts": str(folder / "artifacts")}
    (folder / "study.yaml").write_text("# killed\n" + yaml.safe_dump(study, sort_keys=False))
    command = [sys.executable, "-m", "dcasearch", "run", str(folder / "study.yaml")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ledger(folder: Path) -> dict[str, Any]:
    """All that is stored of the study, but for measured seconds and for times of day."""
    store = Store.open(f"sqlite:///{folder}/study.db")
    trials, roles = store.trials("killed"), store.roles("killed")
    ids = {item.evaluation for item in [*trials, *roles] if item.evaluation is not None}
    curves = {
        id: [(e.epoch, e.train_loss, e.loss, e.top1, e.top5) for e in record.history] + [record.weights_sha256]
        for id, record in store.evaluations(ids).items()
    }
    told = {
        name: [(t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs) for t in study.trials]
        for name in ("killed.proxy", "killed.full")
        if (study := optuna.load_study(study_name=name, storage=store.optuna))
    }
    return {"trials": trials, "roles": roles, "curves": curves, "optuna": told}


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
    assert any(trial.state == "complete" for trial in expected["trials"])
    moments = random.Random(f"kill {sent}")
    done = 0
    while done < kills:  # a run that ends before its last kill is followed by another one
        folder = tmp_path / f"killed after {done}"
        done += killed_run(folder, sent, lambda: moments.uniform(0.5, seconds / 3), kills - done)
        assert ledger(folder) == expected
