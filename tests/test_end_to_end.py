"""The user's day in real processes: run, kill, run again, status, export, verify, load; the dashboard beside a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import dcasearch
from dcasearch.store import Store
from tests.support import SPACE

pytestmark = pytest.mark.slow

RECIPE: dict[str, Any] = {"batch_size": 32, "lr": 0.02, "bn_momentum": 0.1}
SMALL: dict[str, Any] = {"resolution": 16, "train_fraction": 0.3, "recipe": RECIPE}
STUDY: dict[str, Any] = {
    "space": {**SPACE, "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"}},
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "sampler": {"name": "tpe", "seed": 0, "startup": 3},
    "baselines": True,
    "fidelities": [
        {"name": "proxy", "trials": 4, "epochs": 3, **SMALL},
        {"name": "full", "promote": {"top": 1, "by": "pareto", "random": 1}, "epochs": 4, **SMALL},
    ],
    "final": {"seeds": [1000]},
    "executor": {"max_concurrent": 2},
}
WriteStudy = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DCASEARCH_STORAGE", f"sqlite:///{tmp_path}/study.db")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "dcasearch", *map(str, arguments)]


def call(*arguments: object, beside: str = "") -> str:
    """Return what a command prints; `beside` is what it says to people while programs read that."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == beside
    return done.stdout


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test; it is ended with it."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    while words not in text:
        line = process.stdout.readline()
        assert line, f"ended before it said '{words}':\n{text}"
        text += line
    return text


def test_a_study_is_run_killed_resumed_exported_verified_and_loaded(write_study: WriteStudy, tmp_path: Path) -> None:
    study = write_study(**STUDY)
    with started("run", study) as first:
        read_until(first, "proxy trial 1 epoch 1/3")
        workers = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    said = call("run", study)
    assert "goes on from its checkpoint" in said
    assert "proxy: 4 trials are done" in said
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    trials = store.trials("tiny")
    assert len({(trial.fidelity, trial.number) for trial in trials}) == len(trials)
    assert "trained anew with fresh seeds, on the test split" in call("status", "tiny")
    named = f"study tiny, database sqlite:///{tmp_path}/study.db\n"
    standing = json.loads(call("status", study, "--json", beside=named))
    assert standing["finals"][0]["name"] == "winner"

    assert "against plain (full, test, seeds 1000)" in call("export", "tiny", "--out", "best.yaml")
    checks = [line.split("  ") for line in call("verify", "best.yaml").splitlines()]
    states = [line for line in checks if any(word.strip() in ("equal", "DIFFERS", "not checked") for word in line)]
    assert len(states) == 7
    assert all("equal" in [word.strip() for word in line] for line in states)
    inspected = call("inspect", "best.yaml", "--svg", "best.svg")
    assert "at 16 pixels, 10 classes" in inspected
    assert (tmp_path / "best.svg").stat().st_size > 1000

    model = dcasearch.load_model("best.yaml")
    with torch.inference_mode():
        logits = model(torch.zeros(2, 3, 16, 16))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_terminal_ends_a_run_with_one_sentence(
    write_study: WriteStudy, sent: signal.Signals, code: int
) -> None:
    study = write_study(**STUDY)
    with started("run", study) as run:
        read_until(run, "proxy baseline plain started")
        workers = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, sent)
        text, _ = run.communicate(timeout=300)
    assert run.returncode == code
    assert "Traceback" not in text
    assert text.splitlines()[-1] == f"interrupted; nothing is lost, `dcasearch run {study}` goes on"
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def fetch(url: str, seconds: float = 60) -> Any:
    """Return the JSON that an address serves, waiting for its server to start."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


@contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """A headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={folder}")
    options.add_argument("--window-size=1400,1000")
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def text_of(page: Any, words: str, seconds: float = 60) -> str:
    """Return what a page shows once it shows these words."""
    from selenium.webdriver.common.by import By

    end = time.monotonic() + seconds
    while True:
        text: str = page.find_element(By.TAG_NAME, "body").text
        if words in text or time.monotonic() > end:
            return text
        time.sleep(0.3)


def test_the_dashboard_shows_a_study_while_it_runs_and_does_not_disturb_it(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    study = write_study(**STUDY)
    address = f"http://127.0.0.1:{(port := free_port())}"
    with started("run", study) as run, browser(tmp_path / "chromium") as page:
        text = read_until(run, "proxy trial 1 epoch 1/3")
        with started("dashboard", "tiny", "--port", port):
            listed = fetch(f"{address}/api/studies")
            assert run.poll() is None
            names = {entry["study_name"]: entry["study_id"] for entry in listed["study_summaries"]}
            assert "tiny.proxy" in names
            page.get(f"{address}/dashboard")
            assert "tiny.proxy" in text_of(page, "tiny.proxy")
            rest, _ = run.communicate(timeout=240)
            assert run.returncode == 0, text + rest
            page.get(f"{address}/dashboard/studies/{names['tiny.proxy']}/trials?numbers=0")
            shown = text_of(page, "architecture")
            page.save_screenshot(str(tmp_path / "trials.png"))
            assert re.search(r"Trial 0 ", shown)
            assert "Complete" in shown
            page.get(f"{address}/dashboard/studies/{names['tiny.proxy']}/note")
            assert "leader's lead" in text_of(page, "4 complete")
            page.save_screenshot(str(tmp_path / "note.png"))
    assert "failed" not in text + rest
    assert "lost" not in text + rest
