from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.findings import findings_of
from dcasearch.analysis.networks import means_of
from dcasearch.analysis.power import LEGEND
from dcasearch.analysis.standing import standing_of
from dcasearch.analysis.words import counts, in_numbers
from dcasearch.errors import TrialFailure, UserError
from dcasearch.report.figures import figures_of
from dcasearch.report.page import render, write_report
from dcasearch.report.sheet import Sheet
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import DriverDied, Simulated, make_study

ZERO: dict[str, Any] = {"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 9, "resolution": 16}
PROXY: dict[str, Any] = {"name": "proxy", "promote": {"top": 4, "random": 2}, "resolution": 16, "epochs": 2}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 3}
EVERYTHING: dict[str, Any] = {
    "fidelities": [ZERO, PROXY, {**FULL, "seeds": [0, 1]}],
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "baselines": True,
    "final": {"seeds": [1000, 1001]},
}
ALL = [
    *("candidates", "pareto", "hypervolume", "accuracy_params", "accuracy_macs", "connecting"),
    *("learning_curves", "best_so_far", "ledger", "proxy_against_full"),
]
"""Figures of the study of `EVERYTHING`, whose trainings take no time."""


def run(folder: Path, executor: Simulated | None = None, **changes: Any) -> Store:
    study = make_study(artifacts=str(folder), **{**EVERYTHING, **changes})
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    study_room.run(
        LoadedStudy(study, read_space(study.space), folder / "s.yaml", frozenset()), store, executor or Simulated()
    )
    return store


@dataclass(frozen=True)
class Estimate:
    tau: float = 0.4
    tau_interval: tuple[float, float] = (0.1, 0.7)
    rho: float = 0.5
    rho_interval: tuple[float, float] = (0.2, 0.8)


@dataclass(frozen=True)
class Entry:
    fidelity: str
    against: str
    predictor: str
    n: int
    correlation: Estimate | None


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The study of `EVERYTHING` at its end, which a report only reads."""
    return run(tmp_path_factory.mktemp("ended"))


@pytest.fixture(scope="module")
def written(ended: Store, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Its report."""
    return write_report(ended, "tiny", tmp_path_factory.mktemp("written") / "new" / "report")


def test_a_report_is_a_page_and_two_files_a_figure(written: list[Path]) -> None:
    page, *figures = written
    assert page.name == "report.html"
    assert [file.name for file in figures] == [f"{name}.{kind}" for name in ALL for kind in ("svg", "png")]
    for file in figures:
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
        else:
            assert file.read_bytes().startswith(b"\x89PNG")


def test_the_page_needs_nothing_but_itself(written: list[Path]) -> None:
    text = written[0].read_text()
    assert len(re.findall(r'src="data:image/svg\+xml;base64,', text)) == len(ALL)
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<script" not in text


def test_the_same_study_gives_the_same_bytes(ended: Store, written: list[Path], tmp_path: Path) -> None:
    again = write_report(ended, "tiny", tmp_path / "again")
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in written]


def test_the_page_says_who_leads_by_how_much_with_seeds_and_calls_nothing_a_win(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    text = render(standing, [], ended.url)
    winner, *baselines = standing.finals
    best = max(baselines, key=lambda baseline: baseline.mean)
    assert f"chosen has top-1 {winner.mean:.2f}% on the test split, with fresh seeds (2 seeds)" in text
    assert best.behind is not None
    rest = f"points against the baseline of the highest mean, {best.name} (2 seeds)"
    assert f"{best.behind.in_words()} {rest}" in text
    assert "wins" not in text
    for baseline in baselines:
        assert baseline.name in text
        cells = f'<td class="number">{in_numbers(baseline.behind)}</td><td>{counts(baseline.behind)}</td>'
        assert cells in text
    assert "zero: snip, nothing is trained" in text
    assert "9 complete" in text


def test_the_page_says_what_can_be_told_apart_and_what_the_signs_mean(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    text = render(standing, [], ended.url)
    assert LEGEND in text
    assert [power.name for power in standing.powers] == ["proxy", "full", "final"]
    assert text.count("(images, at ") == 3  # none has three seeds
    assert text.count('<td class="number">needs 3 seeds</td>') == 3
    assert "final, df" in text


def test_what_is_not_estimable_is_said_and_not_numbered(ended: Store) -> None:
    trust = [Entry("zero", "proxy", "value", 12, Estimate()), Entry("proxy", "full", "params", 3, None)]
    text = render(standing_of(ended, "tiny"), [], ended.url, trust)
    assert "+0.40 [+0.10, +0.70]" in text
    assert "+0.50 [+0.20, +0.80]" in text
    without = render(standing_of(ended, "tiny"), [], ended.url)
    assert text.count("not estimable") == without.count("not estimable") + 2
    assert "zero → proxy" in text
    assert "trusted" not in render(standing_of(ended, "tiny"), [], ended.url)


def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("bug", "<script>alert(1)</script>") if "baseline plain" in job.label else None

    store = run(tmp_path, Simulated(fail=fail))
    text = render(standing_of(store, "tiny"), [], store.url)
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text


def test_a_study_that_has_hardly_begun_has_a_report_too(tmp_path: Path) -> None:
    with pytest.raises(DriverDied):
        run(tmp_path, Simulated(die_at=5), baselines=False)
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    page, *figures = write_report(store, "tiny", tmp_path / "report")
    text = page.read_text()
    assert "No trial of the last fidelity is complete yet." in text
    assert "The study has not come to its end." in text
    assert [file.name for file in figures] == ["ledger.svg", "ledger.png"]


def test_a_study_of_one_objective_has_no_front_and_one_without_finals_shows_its_last_fidelity(tmp_path: Path) -> None:
    store = run(tmp_path, objectives={"loss": "minimize"}, final=None)
    standing = standing_of(store, "tiny")
    figures = {figure.name: figure for figure in figures_of(standing, findings_of(store, standing))}
    assert list(figures) == [name for name in ALL if name not in ("pareto", "hypervolume")]
    assert "full, on the held-out images" in figures["candidates"].caption
    assert "at fidelity full, on the held-out images" in render(standing, [], store.url)


def test_an_unknown_study_is_refused(ended: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study 'other'"):
        write_report(ended, "other", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_front_is_made_of_networks_over_their_seeds_and_not_of_lucky_seeds(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    full = standing.fidelities[-1]
    means = list(means_of(full).values())
    assert len(means) == len({trial.architecture_id for trial in full.trials})
    one = [trial.values or () for trial in full.trials if trial.architecture_id == full.trials[0].architecture_id]
    assert len(one) == 2
    assert any(mean == pytest.approx(((one[0][0] + one[1][0]) / 2, one[0][1])) for mean in means)


RACE: dict[str, Any] = {
    "fidelities": [
        {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1},
        {**FULL, "promote": {"top": 2, "random": 1, "by": "pareto", "race": {"max_seeds": 3}}},
    ],
    "final": None,
}


def test_a_race_is_a_table_of_its_candidates(tmp_path: Path) -> None:
    store = run(tmp_path, **RACE)
    standing = standing_of(store, "tiny")
    race = standing.fidelities[1].race
    assert race is not None
    page = render(standing, [], store.url)
    assert "full: the race" in page
    assert "Race (confidence 95%, up to 3 seeds): over, and " in page
    for candidate in race.candidates:
        assert f"<td>{candidate.name}</td>" in page
    assert "noise of one training between seeds" in page.lower()
    assert "over the seeds that both have" in page
    assert len(means_of(standing.fidelities[1])) == 3


def test_without_a_race_the_page_does_not_speak_of_one(tmp_path: Path) -> None:
    store = run(tmp_path, final=None)
    assert "the race" not in render(standing_of(store, "tiny"), [], store.url)


def test_the_page_shows_every_class_and_none_where_none_is_measured(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    assert "of each class" not in render(standing, [], ended.url)
    winner, *others = standing.finals
    classes = {f"class{n:02}": (float(n), n + 1.0) for n in range(80)}
    text = render(replace(standing, finals=(replace(winner, of_classes=classes), *others)), [], ended.url)
    assert "<h2>top-1 of each class, the worst class first</h2>" in text
    assert "final: chosen, mean of 2 seeds, on the test split." in text
    shown = re.findall(r'<tr><td>(class\d\d)</td><td class="number">([\d.]+)</td>', text)
    assert shown == [(f"class{n:02}", f"{n + 0.5:.2f}") for n in range(80)]


PIXEL = b"\x89PNG of boxes"


def test_the_contact_sheet_is_written_and_stands_in_the_page_with_its_caption(ended: Store, tmp_path: Path) -> None:
    sheet = Sheet("What is found", "12 images of <shapes>.", PIXEL)
    page, *files = write_report(ended, "tiny", tmp_path, sheet=sheet)
    assert files[-1] == tmp_path / "boxes.png"
    assert files[-1].read_bytes() == PIXEL
    text = page.read_text()
    assert len(re.findall(r'src="data:image/png;base64,', text)) == 1
    assert "12 images of &lt;shapes&gt;." in text
    assert "<code>boxes.png</code>" in text


def test_where_there_is_no_sheet_the_page_says_why(ended: Store, tmp_path: Path) -> None:
    page, *files = write_report(ended, "tiny", tmp_path, sheet=Sheet("What is found", "The weights are gone.", None))
    assert tmp_path / "boxes.png" not in files
    assert "<p>The weights are gone.</p>" in page.read_text()
    assert "data:image/png" not in page.read_text()


def test_of_networks_that_find_no_boxes_the_page_does_not_speak_of_any(written: list[Path]) -> None:
    assert "boxes" not in written[0].read_text()
