"""The dashboard in a real browser, beside a run and after it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.browser import browser, errors_of, seen, text_of
from tests.test_end_to_end import STUDY, read_until, started

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    with browser(tmp_path / "chromium") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DCASEARCH_STORAGE", f"sqlite:///{tmp_path}/study.db")


def address_of(dashboard: subprocess.Popen[str]) -> str:
    """Return where a dashboard is served that was begun with `--port 0`."""
    found = re.search(r"(http://127\.0\.0\.1:\d+/dashboard) until Ctrl-C", read_until(dashboard, "until Ctrl-C"))
    assert found is not None
    return found[1]


def drawings(page: Any) -> list[str]:
    """Return the addresses of the drawings that a page shows, once all of them are loaded."""
    script = """const shown = [...document.querySelectorAll("img")].filter(i => /drawings|artifacts/.test(i.src));
        return shown.every(i => i.complete && i.naturalWidth > 300) ? shown.map(i => i.src) : []"""
    found: list[str] = seen(lambda: page.execute_script(script), 30)
    return found


def assert_trial_shown(page: Any, address: str, study: int, trial: Trial) -> str:
    """Open a trial's page, look for its note and its drawing, and return what the page says."""
    page.get(f"{address}/studies/{study}/trials?numbers={trial.number}")
    said = text_of(page, f"id: {trial.architecture_id}")
    assert f"Trial {trial.number} " in said
    assert f"id: {trial.architecture_id}" in said
    shown = drawings(page)
    assert any(a.endswith(f"/drawings/{trial.architecture_id}.svg") for a in shown)
    assert any(re.search(rf"/artifacts/{study}/\d+/{trial.architecture_id}", a) for a in shown)
    return said


def test_it_shows_a_study_while_it_runs_and_after_and_does_not_disturb_it(
    write_study: Callable[..., Path], tmp_path: Path, page: Any
) -> None:
    study = write_study(**STUDY)
    with started("run", study) as run:
        text = read_until(run, "proxy trial 1 epoch 1/3")
        store = Store.open(f"sqlite:///{tmp_path}/study.db")
        with started("dashboard", "tiny", "--port", 0) as dashboard:
            address = address_of(dashboard)
            page.get(address)
            assert "tiny.proxy" in text_of(page, "tiny.proxy")
            first = store.trials("tiny", "proxy")[0]
            said = assert_trial_shown(page, address, 1, first)
            assert run.poll() is None, "the run was over before the page was seen"
            assert re.search(r"state: (running|complete)", said)
            rest, _ = run.communicate(timeout=240)
            assert run.returncode == 0, text + rest
            said = assert_trial_shown(page, address, 1, store.trials("tiny", "proxy")[0])
            assert "Complete" in said
            assert "state: complete, top-1 " in said
            page.get(f"{address}/studies/1/note")
            said = text_of(page, "proxy: 4 complete")  # the page asks again every ten seconds
            assert "proxy: 4 complete" in said
            assert "What next?" in said
            assert "leader's lead" in said
            assert "Trust meter" in said
            page.get(f"{address}/studies/1")
            assert_graphs(page, "Pareto front of proxy", "Top-1 against parameters")
            assert errors_of(page) == []
            os.killpg(dashboard.pid, signal.SIGINT)
            said, _ = dashboard.communicate(timeout=60)
            assert (dashboard.returncode, said.strip()) == (130, "interrupted")
    assert "failed" not in text + rest
    assert "lost" not in text + rest


def assert_graphs(page: Any, *titles: str) -> None:
    """Look for graphs of ours on a study's page."""
    script = """return [...document.querySelectorAll("[id^='user-defined-plot']")]
        .filter(e => e.querySelector(".trace")).map(e => e.querySelector(".gtitle").textContent)"""

    def look() -> bool:
        found = page.execute_script(script)
        return all(any(title in shown for shown in found) for title in titles)

    assert seen(look, 60), page.execute_script(script)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_said_in_words_with_a_drawing(ended_file: Path, tmp_path: Path, page: Any, scheme: str) -> None:
    shutil.copy(ended_file, tmp_path / "study.db")
    words = {
        State.COMPLETE: "state: complete",
        State.PRUNED: "state: pruned after epoch",
        State.INFEASIBLE: "state: infeasible, so it was never trained: params",
        State.DUPLICATE: "state: duplicate of trial",
        State.FAILED: "state: failed (nan): the loss is nan",
    }
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        trials = {trial.state: trial for trial in store.trials("tiny", "proxy")}
    assert trials.keys() == words.keys()
    with started("dashboard", "--port", 0) as dashboard:
        address = address_of(dashboard)
        for state, trial in trials.items():
            assert words[state] in assert_trial_shown(page, address, 1, trial)
        twin = trials[State.DUPLICATE]
        page.get(f"{address}/studies/1/trials?numbers={twin.number}")
        text_of(page, "state: duplicate")
        page.find_element("link text", f"trial {twin.duplicate_of}").click()
        assert f"Trial {twin.duplicate_of} " in text_of(page, f"Trial {twin.duplicate_of} (")
        assert page.current_url.endswith(f"/dashboard/studies/1/trials?numbers={twin.duplicate_of}")
        page.get(f"{address}/studies/1")
        assert_graphs(page, "Pareto front of proxy")
        background = "return getComputedStyle(document.querySelector(\"[id^='user-defined-plot']\")).filter"
        assert ("invert" in page.execute_script(background)) is (scheme == "dark")
        assert errors_of(page) == []
