from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.networks import means_of
from dcasearch.analysis.power import LEGEND
from dcasearch.analysis.references import resolve
from dcasearch.analysis.standing import standing_of
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.analysis.words import counts, in_numbers
from dcasearch.config import load_architecture
from dcasearch.errors import TrialFailure, UserError
from dcasearch.report import section as section_room
from dcasearch.report.page import render, write_report, write_sections
from dcasearch.report.section import Extras, Section, section_of
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


@pytest.fixture
def unfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures: a dozen of them take a second."""
    monkeypatch.setattr(section_room, "figures_of", lambda *_: iter(()))


def page_of(store: Store, **extras: Any) -> str:
    """The page of the study."""
    return render([section_of(store, "tiny", Extras(**extras))])


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The study of `EVERYTHING` at its end, which a report only reads."""
    return run(tmp_path_factory.mktemp("ended"))


@pytest.fixture(scope="module")
def section(ended: Store) -> Section:
    """What its page shows."""
    return section_of(ended, "tiny", Extras())


@pytest.fixture(scope="module")
def text(section: Section) -> str:
    """Its page."""
    return render([section])


@pytest.fixture(scope="module")
def written(section: Section, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Its report."""
    return write_sections([section], tmp_path_factory.mktemp("written") / "new" / "report")


def test_a_report_is_a_page_two_files_a_figure_a_drawing_and_a_file_a_network(written: list[Path]) -> None:
    page, *others = written
    assert page.name == "report.html"
    assert all(file.is_file() for file in written)
    figures = [file.name for file in others if file.parent == page.parent]
    assert figures == [f"{name}.{kind}" for name in ALL for kind in ("svg", "png")]
    for file in others:
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
        elif file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG")
        else:
            assert load_architecture(file).id == file.stem


def test_the_page_needs_nothing_but_itself(text: str) -> None:
    assert len(re.findall(r'src="data:image/svg\+xml;base64,', text)) > len(ALL)
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "<script" not in text
    assert "url(" not in text


@pytest.mark.usefixtures("unfigured")
def test_the_same_study_gives_the_same_bytes(ended: Store, section: Section) -> None:
    assert page_of(ended) == render([replace(section, figures=())])


def test_the_first_screen_has_the_six_answers_and_what_was_asked(section: Section, text: str) -> None:
    first = text.split("</section>")[0]
    assert re.findall(r"<h3>(.*?)</h3>", first) == [question for question, _ in section.story.lines]
    assert [answer.key for answer in section.answers] == ["chosen", "differs", "better", "sure", "cost", "next"]
    assert section.question in first
    assert section.answers[2].first == "Needs 3 seeds"
    assert "<code>dcasearch run STUDY.yaml</code>" in first
    assert "Drawing of the chosen network" in first


def test_an_answer_begins_with_what_is_read_first(section: Section) -> None:
    for answer, (_, whole) in zip(section.answers, section.story.lines, strict=True):
        assert whole.startswith(answer.first)
        assert answer.rest.lower() in whole.lower()
        assert len(answer.first) < 90


def test_the_page_says_who_leads_by_how_much_with_seeds_and_calls_nothing_a_win(section: Section, text: str) -> None:
    assert not re.search(r"\bwins\b", text)
    for baseline in section.standing.finals[1:]:
        row = next(line for line in text.splitlines() if line.startswith(f"<tr><td>{baseline.name}</td>"))
        assert f'<td class="number">{in_numbers(baseline.behind)}</td><td>{counts(baseline.behind)}</td>' in row
        assert "<td>2 (1000, 1001)</td>" in row.replace(' class="number"', "")
    assert "Fidelity zero: scored by snip, nothing is trained" in text


def test_the_ledger_counts_every_trial(section: Section) -> None:
    rows = {row[0]: row[1:] for row in section.ledger.rows}
    assert int(rows["zero"][1]) == 9  # beside duplicates
    trials = sum(len(fidelity.trials) for fidelity in section.standing.fidelities)
    assert sum(int(row[1]) for row in section.ledger.rows) == trials == len(section.trials.rows)


def test_the_best_networks_are_ordered_within_their_fidelity_and_each_has_a_command_and_a_file(
    ended: Store, section: Section, text: str
) -> None:
    assert section.standing.winner is not None
    of_full = [best for best in section.best if best.fidelity == "full"]
    values = [float(best.value.split()[0]) for best in of_full]
    assert values == sorted(values, reverse=True)
    assert section.best[: len(of_full)] == tuple(of_full)
    chosen = next(best for best in section.best if best.architecture.id == section.standing.winner.architecture.id)
    assert chosen.command == "dcasearch export tiny"
    for best in section.best:
        if best is not chosen:
            assert re.fullmatch(rf"dcasearch export tiny/{best.fidelity}/\d+", best.command)
            assert resolve(ended, best.command.split()[-1]).architecture.id == best.architecture.id
    assert len({best.architecture.id for best in section.best}) == len(section.best)
    for best in section.best:
        assert f'download="{best.architecture.id}.yaml"' in text


def test_the_page_says_what_can_be_told_apart_and_what_the_signs_mean(section: Section, text: str) -> None:
    assert LEGEND in text
    assert section.powers is not None
    assert [row[0] for row in section.powers.rows] == ["proxy", "full", "final"]
    assert "final, df" in text


@pytest.mark.usefixtures("unfigured")
def test_what_is_not_estimable_is_said_and_not_numbered(ended: Store, text: str) -> None:
    trust = [
        Trust("zero", "proxy", "value", 12, Correlation(0.4, (0.1, 0.7), 0.5, (0.2, 0.8))),
        Trust("proxy", "full", "params", 3, None),
    ]
    told = page_of(ended, trust=trust)
    assert "+0.40 [+0.10, +0.70]" in told
    assert "+0.50 [+0.20, +0.80]" in told
    assert told.count("not estimable") == text.count("not estimable") + 1
    assert "<td>proxy, its value</td>" in told
    assert "How well cheaper numbers predict dearer ones" not in text


def test_provenance_has_versions_data_and_no_password(section: Section) -> None:
    rows = {row[0]: row[1] for row in section.provenance.rows}
    assert rows["database"].startswith("sqlite:///")
    assert "fingerprint " in rows["data"]
    assert "10 classes" in rows["data"]
    assert rows["sampler"] == "random, seed 0"


@pytest.mark.usefixtures("unfigured")
def test_studies_stand_side_by_side_in_one_page_with_a_folder_each(ended: Store, tmp_path: Path) -> None:
    study = make_study(name="other", artifacts=str(tmp_path), baselines=True, final={"seeds": [1000]})
    loaded = LoadedStudy(study, read_space(study.space), tmp_path / "s.yaml", frozenset())
    study_room.run(loaded, ended, Simulated())
    page, *others = write_report(ended, {"tiny": Extras(), "other": Extras()}, tmp_path / "both")
    text = page.read_text()
    assert "<h1>2 studies</h1>" in text
    assert text.index('href="#other"') < text.index('<article id="tiny">') < text.index('<article id="other">')
    assert {file.relative_to(page.parent).parts[0] for file in others} == {"tiny", "other"}


@pytest.mark.usefixtures("unfigured")
def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("bug", "<script>alert(1)</script>") if "baseline plain" in job.label else None

    text = page_of(run(tmp_path, Simulated(fail=fail)))
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text


@pytest.mark.usefixtures("unfigured")
def test_a_study_that_has_hardly_begun_has_a_report_too(tmp_path: Path) -> None:
    with pytest.raises(DriverDied):
        run(tmp_path, Simulated(die_at=5), baselines=False)
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    page, *_ = write_report(store, {"tiny": Extras()}, tmp_path / "report")
    assert "<code>dcasearch run STUDY.yaml</code>" in page.read_text()


@pytest.mark.usefixtures("unfigured")
def test_a_study_of_scores_alone_has_a_report_too(tmp_path: Path) -> None:
    store = run(tmp_path, fidelities=[ZERO], final=None, objectives={"top1": "maximize"})
    assert "scored by snip, nothing is trained" in page_of(store)


@pytest.mark.usefixtures("unfigured")
def test_a_study_without_finals_shows_its_last_fidelity(tmp_path: Path) -> None:
    text = page_of(run(tmp_path, objectives={"loss": "minimize"}, final=None))
    assert "on the held-out images, at fidelity full" in text
    assert "<h3>Fidelity full: on the held-out images</h3>" in text


def test_an_unknown_study_is_refused(ended: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study 'another'"):
        write_report(ended, {"another": Extras()}, tmp_path / "report")
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


@pytest.mark.usefixtures("unfigured")
def test_a_race_is_a_table_of_its_candidates(tmp_path: Path) -> None:
    store = run(tmp_path, **RACE)
    standing = standing_of(store, "tiny")
    race = standing.fidelities[1].race
    assert race is not None
    page = page_of(store)
    assert "The race at fidelity full" in page
    assert "Race (confidence 95%, up to 3 seeds): over, and " in page
    for candidate in race.candidates:
        assert f"<td>{candidate.name}</td>" in page
    assert "noise of one training between seeds" in page.lower()
    assert len(means_of(standing.fidelities[1])) == 3


def test_without_a_race_the_page_does_not_speak_of_one(text: str) -> None:
    assert "The race" not in text


def test_the_page_shows_every_class_and_none_where_none_is_measured(section: Section, text: str) -> None:
    assert "of each class" not in text
    winner, *others = section.standing.finals
    classes = {f"class{n:02}": (float(n), n + 1.0) for n in range(80)}
    standing = replace(section.standing, finals=(replace(winner, of_classes=classes), *others))
    told = render([replace(section, standing=standing)])
    assert "<summary>top-1 of each class, the worst class first</summary>" in told
    assert "final: chosen, mean of 2 seeds, on the test split." in told
    shown = re.findall(r'<tr><td>(class\d\d)</td><td class="number">([\d.]+)</td>', told)
    assert shown == [(f"class{n:02}", f"{n + 0.5:.2f}") for n in range(80)]


PIXEL = b"\x89PNG of boxes"


@pytest.mark.usefixtures("unfigured")
def test_the_contact_sheet_is_written_and_stands_in_the_page_with_its_caption(ended: Store, tmp_path: Path) -> None:
    sheet = Sheet("What is found", "12 images of <shapes>.", PIXEL)
    page, *files = write_report(ended, {"tiny": Extras(sheet=sheet)}, tmp_path)
    assert files[-1] == tmp_path / "boxes.png"
    assert files[-1].read_bytes() == PIXEL
    text = page.read_text()
    assert len(re.findall(r'src="data:image/png;base64,', text)) == 1
    assert "12 images of &lt;shapes&gt;." in text
    assert "<code>boxes.png</code>" in text


def test_where_there_is_no_sheet_the_page_says_why(section: Section) -> None:
    text = render([replace(section, extras=Extras(sheet=Sheet("What is found", "The weights are gone.", None)))])
    assert "<p>The weights are gone.</p>" in text
    assert "data:image/png" not in text


def test_of_networks_that_find_no_boxes_the_page_does_not_speak_of_any(text: str) -> None:
    assert "boxes" not in text
