"""All figures of one study, and of what a study may lack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from dcasearch.analysis.findings import findings_of
from dcasearch.analysis.networks import means_of
from dcasearch.analysis.standing import standing_of
from dcasearch.report.figures import Figure, figures_of, importance, missing_of, promotions, spending
from dcasearch.report.figures import curves as curves_room
from dcasearch.report.figures.canvas import canvas, dots, finished
from dcasearch.report.figures.theme import GREY, STYLE
from dcasearch.store import Store
from tests.report.figures.conftest import Ended, Timed, run
from tests.support import DriverDied, Simulated

ALL = {
    "candidates": "found",
    "pareto": "found",
    "hypervolume": "search",
    "accuracy_params": "found",
    "accuracy_macs": "found",
    "importance": "found",
    "importance_places": "found",
    "connecting": "found",
    "alphas": "found",
    "learning_curves": "search",
    "best_so_far": "search",
    "ledger": "search",
    "proxy_against_full": "trust",
    "time": "cost",
    "time_each": "cost",
}


@pytest.fixture(scope="module")
def figures(ended: Ended) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures_of(ended.standing, ended.findings)}


def texts(figure: Figure) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_study_has_every_figure_in_its_part(figures: dict[str, Figure]) -> None:
    assert {name: figure.part for name, figure in figures.items()} == ALL
    for figure in figures.values():
        assert figure.png.startswith(b"\x89PNG")
        assert len(figure.svg) < 40_000
        assert figure.caption.endswith(".")


def test_several_figures_stand_in_one_page_without_sharing_an_id(figures: dict[str, Figure]) -> None:
    page = ElementTree.fromstring(f"<div>{''.join(figure.svg for figure in figures.values())}</div>")
    ids = [id for element in page.iter() if (id := element.get("id"))]
    assert len(ids) == len(set(ids)) > 20


def test_the_chosen_network_and_the_baselines_are_named(figures: dict[str, Figure]) -> None:
    for name in ("accuracy_params", "accuracy_macs"):
        assert {"chosen", "plain", "vanilla se", "dca se"} <= set(texts(figures[name]))
        assert "up and to the left" in figures[name].caption.lower()


def test_captions_say_where_numbers_are_from(figures: dict[str, Figure], ended: Ended) -> None:
    [growth] = [growth for growth in ended.findings.growths if growth.fidelity == "proxy"]
    assert f"Reference point, the worst: top-1 {growth.reference[0]:.2f}%" in figures["hypervolume"].caption
    assert "noise" in figures["pareto"].caption
    assert "Hollow dots are observational" in figures["connecting"].caption
    assert "1 failed trial lost about 10 seconds, by the epochs they reported." in figures["time"].caption
    assert "seed 1000" in figures["alphas"].caption
    assert any(text.endswith(" pruned") for text in texts(figures["learning_curves"]))


def test_the_findings_of_a_study_add_up(ended: Ended) -> None:
    found, standing = ended.findings, ended.standing
    assert found.spending.seconds == standing.seconds > 0
    assert [at.fidelity for at in found.networks] == ["proxy", "full"]
    chosen = [network for network in found.networks[1].networks if network.chosen]
    assert [network.name for network in chosen] == ["chosen"]
    assert all({"params", "macs"} <= network.costs.keys() for at in found.networks for network in at.networks)
    assert {n.baseline for n in found.networks[0].networks} >= {"plain", "vanilla se", "dca se"}
    assert found.importance.trials >= 20
    assert found.importance.axes
    assert missing_of(found) == ()
    proxy = standing.fidelities[0]
    assert len(means_of(proxy)) == len({t.architecture_id for t in proxy.trials if t.values and not t.duplicate_of})


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(ended: Ended, figures: dict[str, Figure]) -> None:
    standing = standing_of(ended.store, "tiny")
    assert list(figures_of(standing, findings_of(ended.store, standing))) == list(figures.values())


def test_what_is_missing_is_said_in_a_sentence(ended: Ended) -> None:
    old = replace(ended.findings.alphas, curves={}, why_not="Nothing is known.")
    few = replace(ended.findings.importance, axes=(), places=(), why_not="There are too few trials.")
    missing = missing_of(replace(ended.findings, alphas=old, importance=few))
    assert [(one.name, one.why) for one in missing] == [
        ("importance", "There are too few trials."),
        ("alphas", "Nothing is known."),
    ]
    assert list(importance.figures(ended.standing, replace(ended.findings, importance=few))) == []


def test_only_promotions_that_ended_at_both_fidelities_are_compared(ended: Ended) -> None:
    points = promotions.promoted(*ended.standing.fidelities)
    assert len(points) == 3
    assert [random for _, _, random in points].count(True) == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0.5 seconds"), (119, "119 seconds"), (120, "2 minutes"), (9000, "2.5 hours")]
)
def test_a_time_has_the_unit_that_it_is_read_in(seconds: float, words: str) -> None:
    assert spending.in_words(seconds) == words


@pytest.mark.slow
def test_a_study_that_has_hardly_begun_has_its_ledger(tmp_path: Path) -> None:
    with pytest.raises(DriverDied):
        run(tmp_path, Simulated(die_at=5), baselines=False)
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    standing = standing_of(store, "tiny")
    findings = findings_of(store, standing)
    assert [figure.name for figure in figures_of(standing, findings)] == ["ledger"]
    assert [one.name for one in missing_of(findings)] == ["importance", "alphas"]


@pytest.mark.slow
def test_one_objective_has_no_front_and_a_fidelity_of_scores_no_curves(tmp_path: Path) -> None:
    zero = {"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 9, "resolution": 16}
    proxy = {"name": "proxy", "promote": {"top": 4, "random": 2}, "resolution": 16, "epochs": 2}
    ended = run(tmp_path, Timed(), fidelities=[zero, proxy], objectives={"loss": "minimize"}, final=None)
    names = [figure.name for figure in figures_of(ended.standing, ended.findings)]
    assert not {"pareto", "hypervolume"} & set(names)
    assert [curves.fidelity for curves in ended.findings.curves] == ["proxy"]
    assert ended.findings.importance.fidelity == "proxy"


ROWS: list[dict[str, Any]] = [
    {"label": "plain", "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}},
    {
        "label": "SE",
        "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
        "attention": {"name": "se", "reduction": 4},
    },
]


@pytest.mark.slow
def test_the_rows_of_a_list_are_named_by_their_labels_and_nobody_is_chosen(tmp_path: Path) -> None:
    fidelity = {"name": "table", "resolution": 16, "epochs": 2, "seeds": [0, 1, 2]}
    changes: dict[str, Any] = {"space": {"architectures": ROWS}, "sampler": {"name": "grid"}, "final": None}
    ended = run(tmp_path, fidelities=[fidelity], objectives={"top1": "maximize"}, **changes)
    figures = {figure.name: figure for figure in figures_of(ended.standing, ended.findings)}
    assert {"plain", "SE"} <= set(texts(figures["rows"]))
    assert {"plain", "SE"} <= set(texts(figures["accuracy_params"]))
    assert "chosen" not in texts(figures["accuracy_params"])
    assert not {"best_so_far", "candidates", "importance"} & figures.keys()


def test_the_curves_of_a_thousand_trials_are_bands(ended: Ended) -> None:
    [curves] = [curves for curves in ended.findings.curves if curves.fidelity == "proxy"]
    many = replace(curves, trials=curves.trials * 60)
    with matplotlib.rc_context(STYLE):
        *_, drawn = curves_room.figures(ended.standing, replace(ended.findings, curves=(many,)))
    assert "half of the trials" in texts(drawn)
    assert len(drawn.svg) < 20_000


def test_the_coefficients_of_many_receivers_are_bands_with_the_largest_named(ended: Ended) -> None:
    many = {f"channel →{n}": tuple(n * epoch / 100 for epoch in range(150)) for n in range(2, 120)}
    alphas = replace(ended.findings.alphas, curves=many, first_epoch=2)
    with matplotlib.rc_context(STYLE):
        drawn, *_ = curves_room.figures(ended.standing, replace(ended.findings, alphas=alphas))
    assert {"90% of channel connections", "channel →119"} <= set(texts(drawn))
    assert "channel →2" not in texts(drawn)
    assert len(drawn.svg) < 60_000
    for part in ("Of 118 the 8", "receivers are shown", "epochs before 2"):
        assert part in drawn.caption


def test_ten_thousand_dots_are_one_picture(ended: Ended) -> None:
    with matplotlib.rc_context(STYLE):
        drawn, [axes] = canvas(2.0)
        dots(axes, range(10_000), range(10_000), GREY)
        figure = finished("many", "Many", "Dots.", drawn, "found")
    assert "data:image/png;base64," in figure.svg
    assert len(figure.svg) < 60_000
